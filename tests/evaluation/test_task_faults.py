"""What lm-eval scores without a word, or explains by an exception of its own, is refused before a response is drawn."""

import json
from pathlib import Path
from typing import Any

import pytest
from prerl_components.evaluators.lm_eval import LmEval

from prerl_spec.errors import PrerlError
from tests.evaluation.sites import GREEDY, tiny_scene

TASK: dict[str, Any] = {
    "task": "made",
    "dataset_path": "json",
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "Q: {{q}}\nA:",
    "doc_to_target": "{{a}}",
    "generation_kwargs": {"until": ["\n"]},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}
ROWS = [{"q": f"{n} plus 1", "a": str(n + 1), "choices": ["1", str(n + 1)], "gold": 1} for n in range(4)]
CHOICE = {"output_type": "multiple_choice", "doc_to_choice": "choices", "doc_to_target": "gold", "metric_list": None}
NONE = {**ROWS[0], "a": None}


def score(folder: Path, rows: list[dict[str, Any]], **changes: Any) -> Any:
    folder.mkdir(exist_ok=True)
    for split in ("test", "train"):
        (folder / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    files = {split: str(folder / f"{split}.jsonl") for split in ("test", "train")}
    task = {**TASK, "dataset_kwargs": {"data_files": files}, **changes}
    written = json.dumps({key: value for key, value in task.items() if value is not None})
    (folder / "made.yaml").write_text(written, encoding="utf-8")
    with tiny_scene(folder / "site", decoding=GREEDY) as scene:
        return LmEval(tasks=("made",), include=(str(folder),)).score(scene.site)


@pytest.mark.parametrize(
    ("rows", "changes", "said", "hint"),
    [
        (ROWS, {"doc_to_text": "Q: {q}\nA:"}, "all 4 rows make the same prompt", "write {{q}} for {q}"),
        (ROWS, {"doc_to_text": "Which?"}, "all 4 rows make the same prompt", "q, a, choices, gold"),
        (ROWS, {**CHOICE, "doc_to_text": "Q", "doc_to_choice": ["1", "2"]}, "all 4 rows make the same", "columns"),
        ([*ROWS, NONE], {}, 'row 4: no "a", which doc_to_target prints', "fix these rows"),
        ([*ROWS, NONE], {"doc_to_target": "a"}, 'row 4: no "a", which doc_to_target prints', "fix these rows"),
        ([*ROWS, {**NONE, "q": None, "a": "1"}], {}, 'row 4: no "q", which doc_to_text prints', "fix these rows"),
        ([*ROWS, {**ROWS[0], "choices": []}], CHOICE, "row 4: doc_to_choice has no choice", "fix these rows"),
        ([{**ROWS[0], "choices": []}, *ROWS], CHOICE, "could not be built", "row 0: it has no choice"),
        ([], {}, "test.jsonl contains no rows for made", "provide local rows"),
        (ROWS, {"num_fewshot": 9, "fewshot_split": "train"}, "shows 9 worked examples, and has 4", "num_fewshot to 4"),
        (ROWS, {"num_fewshot": 4, "fewshot_split": "test"}, "shows 4 worked examples, and has 3", "num_fewshot to 3"),
        (
            ROWS,
            {"doc_to_text": "{{nothing}}"},
            "made.yaml: UndefinedError: 'nothing' is undefined",
            "compare the columns",
        ),
        (ROWS, {"doc_to_text": "{{1 // (a|int - 3)}}"}, "cannot be rendered: ZeroDivisionError", "compare the columns"),
    ],
)
def test_a_task_that_cannot_mean_what_it_says_is_refused(
    tmp_path: Path, rows: list[dict[str, Any]], changes: dict[str, Any], said: str, hint: str
) -> None:
    with pytest.raises(PrerlError) as refused:
        score(tmp_path / "task", rows, **changes)
    assert said in refused.value.message
    assert hint in str(refused.value.hint)


@pytest.mark.parametrize(
    ("rows", "changes"),
    [
        (ROWS, {"num_fewshot": 4, "fewshot_split": "train"}),
        (ROWS, {**CHOICE, "doc_to_text": ""}),
        (ROWS[:1] * 3, {}),
        ([*ROWS, {**NONE, "a": "None", "hint": None}], {"doc_to_text": "{{q}}{% if hint %} {{hint}}{% endif %}"}),
        ([*ROWS, {**ROWS[0], "hint": None}], {"doc_to_text": "{{q}}{{'' if hint is none else hint}}"}),
    ],
    ids=["as many examples as rows", "options alone differ", "one row thrice", "an optional column", "a test for none"],
)
def test_what_is_meant_so_is_scored(tmp_path: Path, rows: list[dict[str, Any]], changes: dict[str, Any]) -> None:
    assert score(tmp_path / "task", rows, **changes)[0].questions == len(rows)
