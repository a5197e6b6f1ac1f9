"""Our benchmarks: every pack states what it is, its rows become questions and answers, and the page shows what is there."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from prerl_components.evaluators.lm_eval import GENERATED, LmEval

from prerl_spec.evaluation.packs import Columns, own_tasks, packs, question_and_answer
from prerl_spec.evaluation.protocols import PROTOCOLS
from prerl_spec.evaluation.tasks.rows import file_rows

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"


def test_every_pack_says_where_its_rows_come_from() -> None:
    assert set(GENERATED) == {name for name, pack in packs().items() if pack.hub is None}
    for name, pack in packs().items():
        assert name.endswith("_boxed") or name in GENERATED
        assert pack.title
        assert pack.source
        assert pack.licence
        assert pack.rows > 0
        if pack.hub:
            assert pack.checked
            assert pack.protocol in PROTOCOLS
            year, month = pack.published.split("-")
            assert 2020 < int(year) < 2030
            assert 1 <= int(month) <= 12


def test_sampling_is_no_part_of_what_the_task_is() -> None:
    for name, config in own_tasks().items():
        assert config["generation_kwargs"] == {"until": []}, name
        assert config["metadata"] == {"version": 1}
        assert "repeats" not in config


def test_the_page_shows_what_is_there() -> None:
    page = ROOT / "docs" / "benchmarks.md"
    script = runpy.run_path(str(ROOT / "docs" / "write_benchmarks.py"))
    text = page.read_text(encoding="utf-8")
    assert script["written"](text) == text, "python docs/write_benchmarks.py"


OPTIONS = {
    "Question": "What is it?",
    "Correct Answer": "right",
    "Incorrect Answer 1": "one",
    "Incorrect Answer 2": "two",
}
CHOICE = Columns("Question", "Correct Answer", wrong=("Incorrect Answer 1", "Incorrect Answer 2"), seed=0)


def test_options_stand_in_an_order_of_the_seed_and_the_question_alone() -> None:
    def read(row: dict[str, Any], seed: int) -> tuple[str, list[str]]:
        columns = Columns(CHOICE.question, CHOICE.answer, wrong=CHOICE.wrong, seed=seed)
        found = question_and_answer(row, columns)
        lines = found["problem"].splitlines()
        options = [line for line in lines if line.startswith("(")]
        assert lines[0] == row["Question"]
        assert f"({found['answer']}) right" in options
        return found["answer"], options

    assert read(OPTIONS, 0) == read({**OPTIONS, "Id": 7}, 0)
    letters = {read({**OPTIONS, "Question": f"What is {n}?"}, 0)[0] for n in range(40)}
    assert letters == {"A", "B", "C"}
    assert len({read(OPTIONS, seed)[0] for seed in range(40)}) == 3
    assert all(sorted(line[4:] for line in read(OPTIONS, seed)[1]) == ["one", "right", "two"] for seed in range(9))


@pytest.mark.parametrize(
    ("row", "columns", "expected"),
    [
        ({"question": "q", "answer": "9 * 2 = 18\n#### 18"}, Columns("question", "answer", "####"), ("q", "18")),
        ({"question": "q", "answer": "18"}, Columns("question", "answer", "####"), ("q", "18")),
        ({"question": "q", "final_answer": ["2", "3"]}, Columns("question", "final_answer"), ("q", "2, 3")),
        ({"problem": "p", "answer": 5}, Columns("question", "final_answer"), ("p", "5")),
        ({"problem": "p", "answer": "A"}, CHOICE, ("p", "A")),
    ],
)
def test_columns_of_the_hub_and_plain_ones_are_read(
    row: dict[str, Any], columns: Columns, expected: tuple[str, str]
) -> None:
    found = question_and_answer(row, columns)
    assert (found["problem"], found["answer"]) == expected


@pytest.mark.parametrize(
    ("row", "columns", "why"),
    [
        ({**OPTIONS, "Incorrect Answer 2": ""}, CHOICE, 'no text in "Incorrect Answer 2"'),
        ({"answer": "4"}, Columns("question"), 'no text in "problem" (or "question")'),
        ({"question": "q", "answer": [1]}, Columns("question"), 'no text or number in "answer"'),
    ],
)
def test_a_row_without_them_is_refused(row: dict[str, Any], columns: Columns, why: str) -> None:
    with pytest.raises(ValueError, match="no text") as refused:
        question_and_answer(row, columns)
    assert str(refused.value) == why


def test_rows_of_a_file_are_read_by_the_packs_columns(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"question": "q", "answer": "1+1=2\n#### 2"}) + "\n", encoding="utf-8")
    assert file_rows("gsm8k_boxed", file, None, packs()["gsm8k_boxed"].columns) == [{"problem": "q", "answer": "2"}]
    (asked,) = LmEval(tasks=("gsm8k_boxed",), data={"gsm8k_boxed": str(file)}).questions()
    assert asked.texts == (("rows.jsonl:1", "q"),)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["aime24", "aime25", "amc23", "gsm8k"])
def test_real_rows_are_as_many_as_the_pack_says(name: str) -> None:
    file = SHARED / name / "test.jsonl"
    if not file.is_file():
        pytest.skip("no rows beside the checkout")
    pack = packs()[f"{name}_boxed"]
    assert len(file_rows(pack.name, file, None, pack.columns)) == pack.rows
