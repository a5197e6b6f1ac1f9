"""What is durable after each storage call, held against every subset of what a crash may lose."""

from pathlib import Path

import pytest

from prerl_spec.storage import disk
from tests.storage.recording import crashed, recorded


def test_a_whole_file_survives_a_crash_under_its_name(tmp_path: Path) -> None:
    with recorded(tmp_path) as steps:
        disk.write_whole(tmp_path / "new" / "plan.json", "one")
    for folder in crashed(steps, tmp_path / "after"):
        assert (folder / "new" / "plan.json").read_text() == "one"


def test_a_crash_while_a_file_is_replaced_leaves_the_old_or_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    with recorded(tmp_path) as steps:
        disk.write_whole(file, "old")
        done = len(steps)
        disk.write_whole(file, "new and longer")
    for cut in range(done, len(steps) + 1):
        for folder in crashed(steps[:cut], tmp_path / f"after-{cut}"):
            found = (folder / "manifest.json").read_text()
            assert found in ("old", "new and longer")
            assert cut < len(steps) or found == "new and longer"


def test_what_was_appended_survives_and_an_unfinished_append_costs_nothing_before_it(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    with recorded(tmp_path) as steps:
        disk.append(file, b"one\n")
        done = len(steps)
        disk.append(file, b"two\n")
    for folder in crashed(steps[:done], tmp_path / "first"):
        assert (folder / "events.jsonl").read_bytes() == b"one\n"
    for cut in range(done, len(steps)):
        for folder in crashed(steps[:cut], tmp_path / f"cut-{cut}"):
            assert (folder / "events.jsonl").read_bytes().startswith(b"one\n")
    for folder in crashed(steps, tmp_path / "second"):
        assert (folder / "events.jsonl").read_bytes() == b"one\ntwo\n"


def test_the_crash_model_loses_what_is_not_synced(tmp_path: Path) -> None:
    with recorded(tmp_path) as steps:
        disk.write(tmp_path / "a", b"content")
        disk.sync(tmp_path / "a")
        disk.rename(tmp_path / "a", tmp_path / "b")
    states = {tuple(sorted(f.name for f in folder.iterdir())) for folder in crashed(steps, tmp_path / "after", 60)}
    assert states == {(), ("a",), ("b",)}, "an unsynced folder may hold no name, the old one, or the new one"


def test_a_failed_write_leaves_no_temporary_file_and_the_old_content(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    disk.write_whole(file, "old")

    def full(operation: disk.Operation) -> None:
        if operation.kind == "sync":
            raise OSError(28, "No space left on device")

    with disk.observed(full), pytest.raises(OSError, match="No space left"):
        disk.write_whole(file, "new")
    assert [f.name for f in tmp_path.iterdir()] == ["plan.json"]
    assert file.read_text() == "old"
