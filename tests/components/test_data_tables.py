"""Tables of rows are read strictly: every unreadable row is named with its place, none is read for something else."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from prerl_components.data.hf_dataset import HfDataset
from prerl_components.data.jsonl import Jsonl
from prerl_components.models import hub_access
from pydantic import ValidationError

from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.sdk import Rendering

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no real rows beside the checkout")

GOOD = {"question": "2+2?", "answer": "4"}


def write(folder: Path, *lines: Any) -> str:
    file = folder / "rows.jsonl"
    file.write_bytes(b"\n".join(x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines) + b"\n")
    return str(file)


def complaints(data: Jsonl | HfDataset) -> list[str]:
    with pytest.raises(EnvironmentUnmet) as caught:
        data.open("train")
    return [line.strip() for line in caught.value.message.splitlines()]


def test_a_row_is_a_question_with_its_gold_answer(tmp_path: Path) -> None:
    row = Jsonl(path=write(tmp_path, {**GOOD, "level": 3})).open("train").row(0)
    assert (row.where, row.question, row.gold, row.document) == ("rows.jsonl:1", "2+2?", "4", None)
    assert row.fields["level"] == 3


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"question": "a"', "not JSON: Expecting ',' delimiter at column 17"),
        (b'{"question": "\xff", "answer": "4"}', "not UTF-8 at byte 15 of the line"),
        (b"", "an empty line"),
        (b"[1]", "a list, expected an object"),
        (b'"text"', "a string, expected an object"),
        (b'{"question": "a", "answer": NaN}', "not JSON: NaN is not a JSON value"),
        (b"[" * 100_000, "not JSON: "),
        ({"question": "a"}, 'no key "answer"'),
        ({"question": None, "answer": "4"}, '"question" is null, expected text'),
        ({"question": 7, "answer": "4"}, '"question" is a number, expected text'),
        ({"question": "a", "answer": True}, '"answer" is a boolean, expected text'),
        ({"question": "a", "answer": ["4"]}, '"answer" is a list, expected text'),
        ({"question": " \n", "answer": "4"}, '"question" is empty'),
        ({"question": "a", "answer": ""}, '"answer" is empty'),
        ({"question": "\ud800", "answer": "4"}, '"question" contains half of a surrogate pair'),
    ],
)
def test_an_unreadable_row_is_named_with_file_line_and_reason(tmp_path: Path, line: Any, complaint: str) -> None:
    path = write(tmp_path, GOOD, line, GOOD)
    head, row = complaints(Jsonl(path=path))
    assert head == f"data `train`: 1 unreadable row in {path}"
    assert row.startswith(f"rows.jsonl:2: {complaint}")
    kept = Jsonl(path=path, on_bad_row="drop").open("train")
    assert (len(kept), kept.dropped, kept.row(1).where) == (2, 1, "rows.jsonl:3")


def test_ten_unreadable_rows_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    lines = complaints(Jsonl(path=write(tmp_path, *[{"question": "a"}] * 25)))
    assert lines[0].startswith("data `train`: 25 unreadable rows in ")
    assert len(lines) == 12
    assert lines[-1] == "... and 15 more"


def test_a_missing_column_is_told_what_there_is(tmp_path: Path) -> None:
    lines = complaints(Jsonl(path=write(tmp_path, GOOD), question="problem"))
    assert lines[1] == 'rows.jsonl:1: no key "problem" (keys: question, answer)'


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rows.jsonl").write_bytes(content)
    assert complaints(Jsonl(path=str(tmp_path / "rows.jsonl"))) == [
        f"data `train`: no rows in {tmp_path / 'rows.jsonl'}"
    ]


def test_dropping_every_row_is_refused_too(tmp_path: Path) -> None:
    (line,) = complaints(Jsonl(path=write(tmp_path, {"question": "a"}), on_bad_row="drop"))
    assert "all 1 were unreadable, the first rows.jsonl:1" in line


@pytest.mark.parametrize("path", ["absent.jsonl", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, path: str) -> None:
    (line,) = complaints(Jsonl(path=str(tmp_path / path)))
    assert line.startswith(f"data `train`: cannot read {tmp_path / path}")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\r\n")
    assert len(Jsonl(path=str(tmp_path / "rows.jsonl")).open("train")) == 1


def test_a_line_separator_inside_a_text_does_not_end_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps({"question": "a\u2028b", "answer": "4"}, ensure_ascii=False).encode())
    assert Jsonl(path=path).open("train").row(0).question == "a\u2028b"


@pytest.mark.parametrize(
    ("extract", "answer", "gold"),
    [
        ("whole", " 4 ", "4"),
        ("whole", 27, "27"),
        ("whole", 2.5, "2.5"),
        ("after:####", "2 #### 3 #### 4", "4"),
        ("last_boxed", "\\boxed{1} so \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
    ],
)
def test_the_gold_answer_is_extracted(tmp_path: Path, extract: str, answer: Any, gold: str) -> None:
    path = write(tmp_path, {"question": "a", "answer": answer})
    assert Jsonl(path=path, extract=extract).open("train").row(0).gold == gold


@pytest.mark.parametrize(
    ("extract", "answer", "complaint"),
    [
        ("after:####", "4", 'does not contain "####"'),
        ("after:####", "4 ####", 'is empty after its last "####"'),
        ("last_boxed", "4", "contains no \\boxed"),
        ("last_boxed", "\\boxed{4", "contains no \\boxed"),
    ],
)
def test_an_answer_without_what_is_extracted_is_unreadable(
    tmp_path: Path, extract: str, answer: str, complaint: str
) -> None:
    lines = complaints(Jsonl(path=write(tmp_path, {"question": "a", "answer": answer}), extract=extract))
    assert complaint in lines[1]


@pytest.mark.parametrize("extract", ["after:", "first_boxed", "Whole"])
def test_extract_knows_three_ways(extract: str) -> None:
    with pytest.raises(ValidationError):
        Jsonl(path="x", extract=extract)


def test_a_document_may_lack_a_question_and_needs_no_answer(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "one"}, {"text": "two", "question": "q", "answer": "4"}, {"text": "", "answer": 3})
    data = Jsonl(path=path, document="text", on_bad_row="drop").open("train")
    assert [(r.question, r.gold, r.document) for r in data.rows] == [(None, None, "one"), ("q", "4", "two")]


def test_a_template_takes_the_place_of_the_question(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": 2, "b": 3, "answer": "5"})
    data = Jsonl(path=path, template="{{ a }} + {{ b }} = ?").open("train")
    assert data.rendering == Rendering(chat={}, template="{{ a }} + {{ b }} = ?")
    assert data.row(0).question is None


def test_a_template_that_asks_for_a_missing_column_is_named_with_the_row(tmp_path: Path) -> None:
    lines = complaints(Jsonl(path=write(tmp_path, GOOD), template="{{ qestion }}"))
    assert lines[1] == "rows.jsonl:1: the template failed (line 1): 'qestion' is undefined"


def test_a_template_that_does_not_parse_is_refused_at_its_key() -> None:
    with pytest.raises(ValidationError) as caught:
        Jsonl(path="x", template="{{ question ")
    assert [error["loc"] for error in caught.value.errors()] == [("template",)]


def test_the_fingerprint_covers_what_is_read_and_nothing_else(tmp_path: Path) -> None:
    def fingerprint(row: dict[str, Any], **settings: Any) -> str:
        return Jsonl(path=write(tmp_path, row), **settings).open("x").fingerprint

    plain = fingerprint(GOOD)
    assert fingerprint({**GOOD, "level": 4}) == plain
    assert fingerprint({**GOOD, "answer": "5"}) != plain
    assert fingerprint({**GOOD, "question": "2+3?"}) != plain
    assert fingerprint({**GOOD, "level": 4}, template="{{ question }} {{ level }}") != plain


def test_the_engine_finds_the_limits_of_a_prompt_on_the_data_set(tmp_path: Path) -> None:
    settings = {"max_prompt_tokens": 7, "over_long": "drop", "system": "Reason.", "chat": "off"}
    data = Jsonl(path=write(tmp_path, GOOD), **settings).open("train")
    assert (data.max_prompt_tokens, data.over_long) == (7, "drop")
    assert data.rendering == Rendering(chat="off", system="Reason.")


def test_a_local_folder_is_read_through_datasets(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    write(tmp_path / "rows", GOOD, {**GOOD, "answer": "5"})
    data = HfDataset(path=str(tmp_path / "rows")).open("train")
    assert [r.gold for r in data.rows] == ["4", "5"]
    assert data.fingerprint == Jsonl(path=write(tmp_path, GOOD, {**GOOD, "answer": "5"})).open("x").fingerprint
    with pytest.raises(EnvironmentUnmet, match="split test"):
        HfDataset(path=str(tmp_path / "rows"), split="test").open("train")


def test_an_unreachable_hub_is_named_with_what_was_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_access, "hub_answers", lambda: False)
    with pytest.raises(EnvironmentUnmet) as caught:
        HfDataset(path="acme/no-such-rows").open("train")
    assert "acme/no-such-rows at main, split train" in caught.value.message
    assert "jsonl" in str(caught.value.hint)


@pytest.mark.parametrize("asked", [True, False])
def test_rows_of_the_hub_are_not_downloaded_where_datasets_is_offline(
    asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def load_dataset(*arguments: object, **settings: object) -> None:
        seen.append(datasets.config.HF_HUB_OFFLINE)
        raise ValueError("no rows")

    monkeypatch.setattr(hub_access, "hub_answers", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", asked)
    with pytest.raises(EnvironmentUnmet, match="no rows"):
        HfDataset(path="acme/no-such-rows").open("train")
    assert seen == [asked]
    assert datasets.config.HF_HUB_OFFLINE is asked


def test_needs_are_known_before_anything_is_read(tmp_path: Path) -> None:
    assert [r.what for r in Jsonl(path="rows.jsonl").prerequisites()] == ["file"]
    assert [(r.what, r.name, r.revision) for r in HfDataset(path="a/b", revision="v1").prerequisites()] == [
        ("dataset", "a/b", "v1")
    ]
    assert HfDataset(path=str(tmp_path)).prerequisites() == ()


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize(
    ("file", "count", "settings"),
    [
        ("gsm8k/train", 7473, {"extract": "after:####"}),
        ("gsm8k/test", 1319, {"extract": "after:####"}),
        ("aime24/test", 30, {"question": "problem"}),
        ("aime25/test", 30, {"question": "problem"}),
        ("amc23/test", 40, {"question": "problem"}),
    ],
)
def test_real_rows_are_readable(file: str, count: int, settings: dict[str, str]) -> None:
    data = Jsonl(path=str(SHARED / f"{file}.jsonl"), **settings).open("train")
    assert len(data) == count
    assert all(row.question and row.gold for row in data.rows)


@pytest.mark.shared
@needs_shared
def test_the_four_math_rows_without_an_answer_are_found() -> None:
    data = Jsonl(path=str(SHARED / "math/train.jsonl"), question="problem")
    assert complaints(data)[1:] == [f'train.jsonl:{n}: "answer" is empty' for n in (5342, 5344, 6628, 7302)]
    kept = data.model_copy(update={"on_bad_row": "drop"}).open("train")
    assert (len(kept), kept.dropped) == (7496, 4)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"question": "a", "answer": "1", "answer": "2"}', 'the key "answer" stands 2 times in one object'),
        (b'{"question": "a\\ud83d", "answer": "1"}', '"question" contains half of a surrogate pair at character 1'),
        (b'{"question": "a", "answer": "1"}\xff', "not UTF-8 at byte 33 of the line"),
        (b'{"question": "a", "answer": ', "not JSON: Expecting value at column 29"),
    ],
)
def test_a_folder_that_datasets_cannot_read_is_told_the_line(tmp_path: Path, line: bytes, complaint: str) -> None:
    write(tmp_path, GOOD, line, GOOD)
    assert complaints(HfDataset(path=str(tmp_path))) == [
        f"data `train`: 1 unreadable row in {tmp_path}",
        f"rows.jsonl:2: {complaint}",
    ]


def test_bytes_that_pyarrow_takes_for_text_make_a_bad_row(tmp_path: Path) -> None:
    write(tmp_path, GOOD, b'{"question": "\xff", "answer": "1"}', b'{"question": "\xfe", "answer": "1"}', GOOD)
    assert complaints(HfDataset(path=str(tmp_path)))[1:] == [f"{tmp_path}[train]:{n}: not UTF-8" for n in (1, 2)]
    kept = HfDataset(path=str(tmp_path), on_bad_row="drop").open("train")
    assert (len(kept), kept.dropped, kept.row(1).where) == (2, 2, f"{tmp_path}[train]:3")
