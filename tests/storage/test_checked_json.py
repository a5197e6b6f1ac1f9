"""Chained lines and sealed JSON: they stay plain JSON, and every changed byte is damage."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.errors import Damaged
from prerl_spec.storage.chained_lines import START, append_lines, cut_torn_line, last_line, read_lines
from prerl_spec.storage.counted_lines import read_counted, write_counted
from prerl_spec.storage.disk import write_whole
from prerl_spec.storage.sealed import array_text, read_array, read_object, write_object

EVENTS = [{"event": "step", "global_step": n, "value": n / 3, "text": "§ \u2028"} for n in (1, 2, 3)]
ROWS = [{"task": "a", "value": 0.1}, {"task": "b", "value": None}]


def write_events(file: Path) -> None:
    head = START
    for event in EVENTS:
        head = append_lines(file, [event], head)


def write_rows(file: Path) -> None:
    write_whole(file, array_text(ROWS))


def write_plan(file: Path) -> None:
    write_object(file, {"seed": 0, "nested": {"values": [1, 2.5, "x"]}})


def write_questions(file: Path) -> None:
    write_counted(file, {"task": "a"}, EVENTS[:1])


FORMATS: list[tuple[Callable[[Path], None], Callable[[Path], Any]]] = [
    (write_events, read_lines),
    (write_rows, read_array),
    (write_plan, read_object),
    (write_questions, read_counted),
]


def test_what_is_written_is_plain_json_with_further_keys(tmp_path: Path) -> None:
    write_events(tmp_path / "e")
    lines = [json.loads(line) for line in (tmp_path / "e").read_text().splitlines()]
    assert [{k: v for k, v in line.items() if k not in ("check", "chain")} for line in lines] == EVENTS
    assert list(read_lines(tmp_path / "e").entries) == EVENTS
    write_rows(tmp_path / "r")
    assert [row["task"] for row in json.loads((tmp_path / "r").read_text())] == ["a", "b"]
    assert read_array(tmp_path / "r") == ROWS
    write_plan(tmp_path / "p")
    assert read_object(tmp_path / "p") == {"seed": 0, "nested": {"values": [1, 2.5, "x"]}}


@pytest.mark.parametrize(("write", "read"), FORMATS)
def test_every_changed_byte_is_damage(
    tmp_path: Path, write: Callable[[Path], None], read: Callable[[Path], Any]
) -> None:
    file = tmp_path / "file"
    write(file)
    whole = file.read_bytes()
    for at in range(len(whole)):
        for mask in (1, 2, 4, 8, 16, 32, 64, 128, 0x29):  # the last turns a space into a tab
            changed = bytearray(whole)
            changed[at] ^= mask
            file.write_bytes(changed)
            with pytest.raises(Damaged, match="file"):
                read(file)


def test_missing_inserted_and_swapped_lines_are_damage(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    write_events(file)
    one, two, three = file.read_bytes().splitlines(keepends=True)
    for lines, number in (([one, three], 2), ([two, three], 1), ([one, one, two, three], 2), ([one, three, two], 2)):
        file.write_bytes(b"".join(lines))
        with pytest.raises(Damaged, match=rf"events\.jsonl:{number}: .* does not follow the line before it"):
            read_lines(file)
    file.write_bytes(one + two)
    assert len(read_lines(file).entries) == 2, "a missing end is seen by the checkpoints, which hold the chain"


def test_a_torn_last_line_is_dropped_and_the_last_whole_one_is_found(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    write_events(file)
    whole = file.read_bytes()
    ends = [n + 1 for n, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole)):
        file.write_bytes(whole[:cut])
        found = read_lines(file)
        assert len(found.entries) == sum(end <= cut for end in ends)
        assert found.torn == (cut not in (0, *ends))
        last = last_line(file)
        assert last == (found.entries[-1] if found.entries else None)
        cut_torn_line(file, found)
        assert file.stat().st_size == found.size


def test_an_entry_of_an_array_that_is_missing_in_the_middle_is_damage(tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    write_whole(file, array_text([*ROWS, {"task": "c"}]))
    rows = json.loads(file.read_text())
    file.write_text(json.dumps([rows[0], rows[2]], indent=1) + "\n")
    with pytest.raises(Damaged, match="entry 1 does not follow"):
        read_array(file)


def test_files_of_an_earlier_version_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"event": "step"}\n')
    with pytest.raises(Damaged, match="written by an earlier version"):
        read_lines(tmp_path / "events.jsonl")
    (tmp_path / "manifest.json").write_text('{"format": 1}')
    with pytest.raises(Damaged, match="earlier version of prerl-spec, has written it"):
        read_object(tmp_path / "manifest.json")
