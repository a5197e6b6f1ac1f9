"""JSON Lines of users: one reader for training data and evaluators, so that neither takes what the other refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from prerl_components.data.jsonl import Jsonl
from prerl_components.evaluators.lm_eval import LmEval

from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.evaluation.tasks.rows import file_rows, require_readable

GOOD = b'{"problem": "1+1?", "answer": "2"}'


def trained_on(file: Path) -> list[tuple[Any, Any]]:
    rows = Jsonl(path=str(file), question="problem").open("train")
    return [(rows.row(n).question, rows.row(n).gold) for n in range(len(rows))]


def evaluated_on(file: Path) -> list[tuple[Any, Any]]:
    return [(row["problem"], row["answer"]) for row in file_rows("math500_boxed", file, None)]


READERS = [trained_on, evaluated_on]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("content", "questions"),
    [
        (b"\xef\xbb\xbf" + GOOD + b"\n", ["1+1?"]),
        (GOOD + b"\r\n" + GOOD + b"\r\n\r\n", ["1+1?", "1+1?"]),
        (
            GOOD + b"\n" + '{"problem": "one\u2028two\u2029three\x85four", "answer": "2"}'.encode(),
            ["1+1?", "one\u2028"],
        ),
        (b'{"problem": "a\\u2028b \\ud83d\\ude00", "answer": 2}', ["a\u2028b \U0001f600"]),
    ],
)
def test_a_line_ends_at_a_line_feed_alone(read: Any, content: bytes, questions: list[str], tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    found = read(file)
    assert len(found) == len(questions)
    assert all(question.startswith(start) for (question, _), start in zip(found, questions, strict=True))
    assert LmEval(tasks=("math500_boxed",), data={"math500_boxed": str(file)}).count_questions() == len(found)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"problem": "x\\ud83d", "answer": "1"}', "contains half of a surrogate pair"),
        (b'{"problem": "x", "answer": "1\\udc00"}', "contains half of a surrogate pair"),
        (b'{"problem": "x", "answer": NaN}', "not JSON: NaN is not a JSON value"),
        (b'{"problem": "x", "answer": -Infinity}', "not JSON: -Infinity is not a JSON value"),
        (b'{"problem": "x", "answer": 1e999}', "not JSON: 1e999 is larger than any float64"),
        (b'{"problem": "\xff", "answer": "1"}', "not UTF-8 at byte 14 of the line"),
        (b'{"problem": "x", "answer": "1"', "not JSON: "),
        (b"[" * 100_000, "not JSON: "),
        (b'{"problem": "x", "answer": "1", "answer": "2"}', 'the key "answer" stands 2 times in one object'),
        (b'{"problem": "x", "answer": "1", "problem": "x"}', 'the key "problem" stands 2 times in one object'),
        (b'{"problem": "x", "answer": "1", "about": {"a": [{"\\u0062": 1, "b": 1}]}}', 'the key "b" stands 2 times'),
    ],
)
def test_what_is_not_json_is_named_with_file_and_line(read: Any, line: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(GOOD + b"\n" + line + b"\n" + GOOD + b"\n")
    with pytest.raises(EnvironmentUnmet) as caught:
        read(file)
    assert "rows.jsonl:2: " in caught.value.message
    assert reason in caught.value.message
    assert caught.value.message.isprintable() or "\n" in caught.value.message
    caught.value.message.encode()


def test_rows_that_lm_eval_reads_itself_are_checked_by_the_same_reader(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(GOOD + b'\n{"any": "x\\ud83d"}\n[1]\n{"answer": NaN}\n')
    with pytest.raises(EnvironmentUnmet, match="gsm8k: 3 rows cannot be used") as caught:
        require_readable("gsm8k", file)
    assert [f"rows.jsonl:{n}: " in caught.value.message for n in (1, 2, 3, 4)] == [False, True, True, True]


def test_half_a_surrogate_from_a_column_of_the_template_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(json.dumps({"problem": "x", "hint": "\ud83d", "answer": "1"}).encode())
    assert len(Jsonl(path=str(file), question="problem").open("train")) == 1
    with pytest.raises(EnvironmentUnmet, match=r"rows\.jsonl:1: the question that the template renders contains half"):
        Jsonl(path=str(file), question="problem", template="{{ problem }} {{ hint }}").open("train")
