"""The same tasks through `lm_eval --model hf` and through `prerl-spec eval`, greedy, and what differs: request by request,
question by question, and in the scores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import lm_eval
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from prerl_components.evaluators.lm_eval import LmEval
from transformers import AutoTokenizer

from prerl_spec.evaluation.harness.harness import same_randomness_after
from prerl_spec.evaluation.harness.policy_lm import PolicyLM
from prerl_spec.evaluation.samplers import chosen_sampler
from prerl_spec.evaluation.score_target import score_targets
from prerl_spec.evaluation.scores.question_results import question_files, read_questions
from prerl_spec.evaluation.targets import Asked, find_target
from prerl_spec.types import Score
from tests.evaluation.agreement.kinds import GROUP, GROUPED, KINDS, write_kinds


class Key(NamedTuple):
    """A request of lm-eval: `Key("endings", 3, 1)` is the second option of the fourth question."""

    task: str
    row: int
    number: int


Answers = dict[str, dict[Key, list[Any]]]
"""Kind of request -> request -> an answer a repeat."""
PAGES = "pages"
CALLS = ("generate_until", "loglikelihood", "loglikelihood_rolling")


NATS_PER_TOKEN = 1e-6
"""Logits of some ten nats are known to this in float32."""


@dataclass(frozen=True)
class Side:
    """One way through a set of tasks: `values` are those of single questions by (task, metric, row), `scores` by
    (task, metric)."""

    answers: Answers
    values: Mapping[tuple[str, str, int], Any]
    scores: Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Agreement:
    """What two ways through one task have in common. Each pair is (equal, compared); gaps are the largest differences, in nats
    and of scores (relative above 1: a perplexity); None where there is nothing to compare. `page_tokens` is the length of
    the longest text with a rolling log-likelihood."""

    task: str
    texts: tuple[int, int]
    greedy: tuple[int, int]
    logp_gap: float | None
    rolling_gap: float | None
    values: tuple[int, int]
    score_gap: float
    page_tokens: int = 0

    def holds(self, nats: float) -> bool:
        """Whether all is equal, log-likelihoods as nearly as this; those of pages as this, or 1e-6 a token: each has the
        rounding of a float32 forward."""
        same = all(equal == of for equal, of in (self.texts, self.greedy, self.values))
        page = max(nats, NATS_PER_TOKEN * self.page_tokens)
        return same and max(self.logp_gap or 0.0, self.score_gap) <= nats and (self.rolling_gap or 0.0) <= page


def agreements(model: Path, folder: Path, kinds: Sequence[str], limit: int | None = None) -> list[Agreement]:
    """Scores the model on these kinds in both ways; files are written below the folder."""
    tasks = write_kinds(folder / "tasks")
    found: dict[str, Agreement] = {}
    for chat in (False, True):
        names = [name for name in kinds if name != GROUP and KINDS[name].chat == chat]
        if names:
            ours = through_ours(model, folder / f"ours-{chat}", tasks, names, chat=chat, limit=limit)
            theirs = through_theirs(model, tasks, names, chat=chat, limit=limit)
            found |= {name: compared(name, ours, theirs) for name in names}
        if not chat and GROUP in kinds:
            ours = through_ours(model, folder / "ours-group", tasks, [GROUP], chat=False, limit=limit)
            theirs = through_theirs(model, tasks, [GROUP], chat=False, limit=limit)
            found[GROUP] = together(GROUP, [compared(name, ours, theirs) for name in GROUPED])
    if PAGES in found:
        found[PAGES] = replace(found[PAGES], page_tokens=longest_page(model))
    return [found[name] for name in kinds]


def longest_page(model: Path) -> int:
    """Tokens of the longest page."""
    untyped: Any = AutoTokenizer
    tokenizer = untyped.from_pretrained(model)
    return max(len(tokenizer(row["page"]).input_ids) for row in KINDS[PAGES].rows)


def through_ours(
    model: Path, out: Path, tasks: Path, names: Sequence[str], *, chat: bool, limit: int | None = None
) -> Side:
    settings: dict[str, Any] = {"tasks": names, "include": [str(tasks)], "temperature": 0.0}
    settings["max_new_tokens"] = max(KINDS[name].tokens for name in members(names))
    settings |= {"chat": {} if chat else "off"} | ({} if limit is None else {"limit": limit})
    target, scores = find_target(str(model)), list[Score]()
    asked = Asked("model", target, chosen_sampler("transformers", {}), out)
    with recorded(PolicyLM) as answers:
        score_targets([asked], LmEval.model_validate(settings), lambda *_: None, lambda _, found: scores.extend(found))
    values = {
        (header["task"], metric, result.row): value
        for header, results in map(read_questions, question_files(out).values())
        for result in results
        for metric, value in result.values.items()
    }
    return Side(answers, values, {(score.task, score.metric): score.value for score in scores})


def through_theirs(model: Path, tasks: Path, names: Sequence[str], *, chat: bool, limit: int | None = None) -> Side:
    """`lm_eval --model hf --model_args pretrained=MODEL,dtype=float32,softmax_dtype=float64 --tasks …`, in this process."""
    with same_randomness_after(), recorded(HFLM) as answers:
        results = lm_eval.simple_evaluate(
            "hf",
            # A page of some thousand nats has no 1e-4 left in float32, in which log-probabilities would be summed.
            {
                "pretrained": str(model),
                "dtype": "float32",
                "softmax_dtype": "float64",
                "device": "cpu",
                "batch_size": 1,
            },
            tasks=list(names),
            task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
            apply_chat_template=chat,
            fewshot_as_multiturn=chat,
            bootstrap_iters=0,
            limit=limit,
        )
    assert results is not None
    values = {
        (name, f"{metric},{sample['filter']}", sample["doc_id"]): sample[metric]
        for name in members(names)
        for sample in results["samples"][name]
        for metric in sample["metrics"]
    }
    scores = {
        (name, metric): value
        for name in members(names)
        for metric, value in results["results"][name].items()
        if "," in metric and "_stderr" not in metric and isinstance(value, int | float)
    }
    return Side(answers, values, scores)


@contextmanager
def recorded(model: type[Any]) -> Iterator[Answers]:
    """What models of this class answer inside the block."""
    found: Answers = {call: {} for call in CALLS}

    def listening(call: str, asked: Callable[..., Any]) -> Callable[..., Any]:
        def answer(self: Any, requests: Sequence[Any], *arguments: Any, **named: Any) -> Any:
            answers = asked(self, requests, *arguments, **named)
            for one, given in zip(requests, answers, strict=True):
                found[call].setdefault(Key(one.task_name, one.doc_id, one.idx), []).append(given)
            return answers

        return answer

    patches = [mock.patch.object(model, call, listening(call, getattr(model, call))) for call in CALLS]
    for patch in patches:
        patch.start()
    try:
        yield found
    finally:
        for patch in patches:
            patch.stop()


def compared(task: str, ours: Side, theirs: Side) -> Agreement:
    """Asserts that both sides were asked the same requests, and have the same questions, metrics and scores by name."""
    pairs = {call: _pairs(task, ours.answers[call], theirs.answers[call]) for call in CALLS}
    texts = [str(own) == str(other) for own, other in pairs["generate_until"]]
    logps = pairs["loglikelihood"]
    values = _shared(ours.values, theirs.values, task)
    scores = _shared(ours.scores, theirs.scores, task)
    return Agreement(
        task,
        texts=(sum(texts), len(texts)),
        greedy=(sum(bool(own[1]) == bool(other[1]) for own, other in logps), len(logps)),
        logp_gap=_largest([abs(own[0] - other[0]) for own, other in logps]),
        rolling_gap=_largest([abs(own - other) for own, other in pairs["loglikelihood_rolling"]]),
        values=(sum(_near(own, other) for own, other in values), len(values)),
        score_gap=max(abs(float(own) - float(other)) / max(1.0, abs(float(other))) for own, other in scores),
    )


def together(name: str, parts: Sequence[Agreement]) -> Agreement:
    """Several tasks as one."""

    def added(pairs: Sequence[tuple[int, int]]) -> tuple[int, int]:
        return sum(equal for equal, _ in pairs), sum(of for _, of in pairs)

    return Agreement(
        name,
        texts=added([part.texts for part in parts]),
        greedy=added([part.greedy for part in parts]),
        logp_gap=_largest([part.logp_gap for part in parts if part.logp_gap is not None]),
        rolling_gap=_largest([part.rolling_gap for part in parts if part.rolling_gap is not None]),
        values=added([part.values for part in parts]),
        score_gap=max(part.score_gap for part in parts),
    )


def members(names: Sequence[str]) -> list[str]:
    """The tasks that the names stand for: a group for its members."""
    return [one for name in names for one in (GROUPED if name == GROUP else (name,))]


def _pairs(task: str, ours: Mapping[Key, list[Any]], theirs: Mapping[Key, list[Any]]) -> list[tuple[Any, Any]]:
    own, other = ({key: given for key, given in side.items() if key.task == task} for side in (ours, theirs))
    assert own.keys() == other.keys(), f"{task}: other requests"
    return [pair for key in own for pair in zip(own[key], other[key], strict=True)]


def _shared(ours: Mapping[Any, Any], theirs: Mapping[Any, Any], task: str) -> list[tuple[Any, Any]]:
    own, other = ({key: value for key, value in side.items() if key[0] == task} for side in (ours, theirs))
    assert own.keys() <= other.keys(), f"{task}: {sorted(map(str, own.keys() - other.keys()))} are not theirs"
    assert own, f"{task} has nothing to compare"
    return [(own[key], other[key]) for key in own]


def _near(own: Any, other: Any) -> bool:
    """Equal numbers, or rows of numbers, up to the rounding of log-likelihoods."""
    first, second = (list(map(float, v)) if isinstance(v, list | tuple) else [float(v)] for v in (own, other))
    return len(first) == len(second) and all(
        abs(a - b) <= 1e-4 * max(1.0, abs(b)) for a, b in zip(first, second, strict=True)
    )


def _largest(gaps: Sequence[float]) -> float | None:
    return max(gaps) if gaps else None
