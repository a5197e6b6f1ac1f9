"""Small tasks of every kind that lm-eval has, over rows of our own: nothing is downloaded, and a tiny model's context holds
them.

Each is modelled on a well-known task, which its `like` names.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, Any]]

SUMS: Rows = [
    {"question": f"{a} + {b} =", "answer": str(a + b), "work": f"{a} plus {b} is {a + b}.\n#### {a + b}"}
    for a, b in [(3, 4), (12, 5), (7, 7), (20, 13), (1, 9), (6, 30)]
]
ANIMALS: Rows = [
    {"start": "A cow eats", "ends": ["grass.", "stones and sand.", "the moon."], "label": 0},
    {"start": "A fish lives in", "ends": ["a tree.", "the water.", "fire."], "label": 1},
    {"start": "Birds have two", "ends": ["wheels.", "engines each.", "wings."], "label": 2},
    {"start": "A dog says", "ends": ["woof.", "nothing at all, ever.", "moo."], "label": 0},
    {"start": "Bees make", "ends": ["cars.", "honey.", "laws."], "label": 1},
]
CAPITALS: Rows = [
    {"question": "Capital of France?", "choices": ["Rome", "Paris", "Oslo", "Bern"], "answer": 1},
    {"question": "Capital of Norway?", "choices": ["Rome", "Paris", "Oslo", "Bern"], "answer": 2},
    {"question": "Capital of Italy?", "choices": ["Rome", "Lima", "Oslo", "Bern"], "answer": 0},
    {"question": "Capital of Peru?", "choices": ["Rome", "Paris", "Oslo", "Lima"], "answer": 3},
    {"question": "Capital of Japan?", "choices": ["Tokyo", "Paris", "Oslo", "Bern"], "answer": 0},
]
SENTENCES: Rows = [
    {"text": "The sun rises in the", "last": "east"},
    {"text": "She opened the door with a", "last": "key"},
    {"text": "He drank a cup of  ", "last": "tea"},
    {"text": "Two and two are", "last": "four"},
]
LONG = " ".join(f"Line {n} says that {n} times {n} is {n * n}." for n in range(1, 30))
TEXTS: Rows = [
    {"page": "A short text."},
    {"page": "The quick brown fox jumps over the lazy dog, and nobody is surprised any more."},
    {"page": "Zahlen: eins, zwei, drei. Größe und Maß, naïve café."},
    {"page": LONG},
]
PRONOUNS: Rows = [
    {"options": ["The cup", "The table"], "end": " broke because it was thin.", "label": "1"},
    {"options": ["The car", "The road"], "end": " was wet from the rain.", "label": "2"},
    {"options": ["Anna", "Paul"], "end": " laughed.", "label": "1"},
]
WORDS: Rows = [
    {"source": "cat", "target": "chat noir"},
    {"source": "dog", "target": "chien brun"},
    {"source": "sun", "target": "soleil"},
    {"source": "sea", "target": "mer bleue"},
]


@dataclass(frozen=True)
class Kind:
    """A task: `config` is lm-eval's, `rows` its questions, `chat` whether it is asked through the chat template."""

    like: str
    what: str
    rows: Rows
    config: Mapping[str, Any]
    chat: bool = False
    tokens: int = 16
    """Most tokens of a response."""
    fewshot_rows: Rows = field(default_factory=tuple)


def _mean(*metrics: str) -> list[dict[str, Any]]:
    return [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in metrics]


_MATCH: dict[str, Any] = {
    "metric": "exact_match",
    "aggregation": "mean",
    "higher_is_better": True,
    "ignore_case": True,
    "regexes_to_ignore": [",", "\\$"],
}
_GENERATED: dict[str, Any] = {
    "output_type": "generate_until",
    "doc_to_text": "Q: {{question}}\nA:",
    "doc_to_target": "{{answer}}",
    "metric_list": [_MATCH],
}
_LETTERS = "{{question}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:"
_ENDINGS: dict[str, Any] = {
    "output_type": "multiple_choice",
    "doc_to_text": "{{start}}",
    "doc_to_choice": "{{ends}}",
    "doc_to_target": "{{label}}",
}

KINDS: Mapping[str, Kind] = {
    "endings": Kind(
        "hellaswag",
        "multiple choice, endings of unequal length; acc and acc_norm",
        ANIMALS,
        {**_ENDINGS, "metric_list": _mean("acc", "acc_norm")},
    ),
    "mutual_information": Kind(
        "openbookqa",
        "multiple choice against the endings without a context; acc_mutual_info",
        ANIMALS,
        {**_ENDINGS, "metric_list": _mean("acc", "acc_mutual_info")},
    ),
    "letters_few_shot": Kind(
        "mmlu",
        "multiple choice by letter, two examples; acc",
        CAPITALS,
        {
            "output_type": "multiple_choice",
            "doc_to_text": _LETTERS,
            "doc_to_choice": ["A", "B", "C", "D"],
            "doc_to_target": "{{answer}}",
            "num_fewshot": 2,
            "fewshot_config": {"sampler": "first_n"},
            "metric_list": _mean("acc"),
        },
        fewshot_rows=CAPITALS[3:],
    ),
    "drawn_examples": Kind(
        "mmlu with lm-eval's default sampler",
        "multiple choice by letter, two examples drawn at random; acc",
        CAPITALS,
        {
            "output_type": "multiple_choice",
            "doc_to_text": _LETTERS,
            "doc_to_choice": ["A", "B", "C", "D"],
            "doc_to_target": "{{answer}}",
            "num_fewshot": 2,
            "metric_list": _mean("acc"),
        },
        fewshot_rows=CAPITALS[3:],
    ),
    "several_aggregates": Kind(
        "blimp and anli",
        "multiple choice; acc, and mcc and brier_score, which are no means",
        ANIMALS,
        {
            **_ENDINGS,
            "metric_list": [
                *_mean("acc"),
                {"metric": "mcc"},
                {"metric": "brier_score", "aggregation": "brier_score", "higher_is_better": False},
            ],
        },
    ),
    "either_beginning": Kind(
        "winogrande",
        "multiple choice among contexts with one ending; acc",
        PRONOUNS,
        {
            "output_type": "multiple_choice",
            "doc_to_text": "{{label | int - 1}}",
            "doc_to_choice": "{{options}}",
            "doc_to_target": "{{end}}",
            "target_delimiter": "",
            "metric_list": _mean("acc"),
        },
    ),
    "last_word": Kind(
        "lambada",
        "log-likelihood of one ending, contexts that end in spaces; acc and perplexity",
        SENTENCES,
        {
            "output_type": "loglikelihood",
            "doc_to_text": "{{text}}",
            "doc_to_target": "{{last}}",
            "metric_list": [*_mean("acc"), {"metric": "perplexity", "higher_is_better": False}],
        },
    ),
    "pages": Kind(
        "wikitext",
        "rolling log-likelihood, one page longer than a tiny model's context; perplexities, bits per byte",
        TEXTS,
        {
            "output_type": "loglikelihood_rolling",
            "doc_to_text": "",
            "doc_to_target": "{{page}}",
            "metric_list": [{"metric": name} for name in ("word_perplexity", "byte_perplexity", "bits_per_byte")],
        },
    ),
    "sums": Kind(
        "gsm8k, zero-shot",
        "generation to a stop string; exact_match that ignores case and signs",
        SUMS,
        {**_GENERATED, "generation_kwargs": {"until": ["\n", "Q:"], "do_sample": False, "temperature": 0.0}},
    ),
    "filters_few_shot": Kind(
        "gsm8k",
        "generation after two examples, through two chains of filters",
        SUMS,
        {
            **_GENERATED,
            "doc_to_target": "{{work}}",
            "num_fewshot": 2,
            "fewshot_config": {"sampler": "first_n"},
            "generation_kwargs": {"until": ["Q:", "</s>"], "do_sample": False, "temperature": 0.0},
            "metric_list": [{**_MATCH, "regexes_to_ignore": [",", "(?s).*#### ", "\\.$"]}],
            "filter_list": [
                {
                    "name": "strict-match",
                    "filter": [{"function": "regex", "regex_pattern": "#### (\\-?[0-9]+)"}, {"function": "take_first"}],
                },
                {
                    "name": "flexible-extract",
                    "filter": [
                        {"function": "regex", "group_select": -1, "regex_pattern": "([a-z]|[0-9])"},
                        {"function": "take_first"},
                    ],
                },
            ],
        },
        fewshot_rows=SUMS[4:],
    ),
    "repeats": Kind(
        "gsm8k_cot_self_consistency",
        "three responses a question, by majority, by the first, and of the first two",
        SUMS,
        {
            **_GENERATED,
            "repeats": 3,
            "generation_kwargs": {"until": ["\n"], "do_sample": False, "temperature": 0.0},
            "filter_list": [
                {"name": "maj@3", "filter": [{"function": "majority_vote"}, {"function": "take_first"}]},
                {"name": "score-first", "filter": [{"function": "take_first"}]},
                {
                    "name": "maj@2",
                    "filter": [
                        {"function": "take_first_k", "k": 2},
                        {"function": "majority_vote"},
                        {"function": "take_first"},
                    ],
                },
            ],
        },
    ),
    "translation": Kind(
        "wmt16",
        "generation; chrf and ter over the whole corpus, beside exact_match",
        WORDS,
        {
            "output_type": "generate_until",
            "doc_to_text": "English: {{source}}\nFrench:",
            "doc_to_target": " {{target}}",
            "generation_kwargs": {"until": ["\n"], "do_sample": False, "temperature": 0.0},
            "metric_list": [{"metric": "chrf"}, {"metric": "ter", "higher_is_better": False}, _MATCH],
        },
    ),
    "chat": Kind(
        "ifeval, with --apply_chat_template --fewshot_as_multiturn",
        "generation through the chat template, two examples as turns",
        SUMS,
        {
            **_GENERATED,
            "doc_to_text": "{{question}}",
            "num_fewshot": 2,
            "fewshot_config": {"sampler": "first_n"},
            "generation_kwargs": {"until": [], "do_sample": False, "temperature": 0.0},
        },
        chat=True,
        fewshot_rows=SUMS[4:],
    ),
    "letters_chat": Kind(
        "mmlu, with --apply_chat_template",
        "multiple choice by letter through the chat template; acc",
        CAPITALS,
        {
            "output_type": "multiple_choice",
            "doc_to_text": _LETTERS,
            "doc_to_choice": ["A", "B", "C", "D"],
            "doc_to_target": "{{answer}}",
            "metric_list": _mean("acc"),
        },
        chat=True,
    ),
}
GROUP = "words_and_animals"
"""A group of two of them, with a mean over both, which is lm-eval's alone: here a group's tasks are scored."""
ALL = (*KINDS, GROUP)
GROUPED = ("endings", "mutual_information")


def write_kinds(folder: Path) -> Path:
    """Writes every task and the group as YAML files, with their rows beside them, and returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, kind in KINDS.items():
        files = {"test": _write_rows(folder / f"{name}.jsonl", kind.rows)}
        if kind.fewshot_rows:
            files["train"] = _write_rows(folder / f"{name}-examples.jsonl", kind.fewshot_rows)
        config = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": files},
            "test_split": "test",
            **({"training_split": "train", "fewshot_split": "train"} if kind.fewshot_rows else {}),
            **kind.config,
            "metadata": {"version": 1},
        }
        if "generation_kwargs" in config:
            config["generation_kwargs"] = {**config["generation_kwargs"], "max_gen_toks": kind.tokens}
        (folder / f"{name}.yaml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    group = {
        "group": GROUP,
        "task": list(GROUPED),
        "aggregate_metric_list": [{"metric": "acc", "aggregation": "mean", "weight_by_size": True}],
        "metadata": {"version": 1},
    }
    (folder / f"{GROUP}.yaml").write_text(json.dumps(group), encoding="utf-8")
    return folder


def _write_rows(file: Path, rows: Rows) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)
