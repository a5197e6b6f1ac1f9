"""Which folder a run takes."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prerl_spec.compiler.past_runs.run_folder import choose_run_folder, hold_run_folder, is_finished, is_live
from prerl_spec.errors import EnvironmentUnmet, UsageError
from tests.run_files import write_events, write_object

DIGEST = "a" * 64


def started(folder: Path, *events: str, digest: str = DIGEST) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_object(folder / "plan.json", {"digest": digest})
    write_events(folder / "events.jsonl", [{"event": e} for e in events])
    return folder


def test_the_first_run_takes_the_plain_name(tmp_path: Path) -> None:
    assert choose_run_folder(tmp_path / "runs", "a", DIGEST) == (tmp_path / "runs" / "a", False)
    assert (tmp_path / "runs" / "a").is_dir()


def test_an_unfinished_run_of_the_same_digest_goes_on(tmp_path: Path) -> None:
    started(tmp_path / "a", "step", "end")
    unfinished = started(tmp_path / "a-2", "step")
    assert choose_run_folder(tmp_path, "a", DIGEST) == (unfinished, True)


def test_the_highest_numbered_unfinished_run_is_taken_by_number_not_by_text(tmp_path: Path) -> None:
    highest = started(tmp_path / "a-10", "step")
    for name in ("a", "a-4", "a-9", "a-2", "a-7"):
        started(tmp_path / name, "step")
    assert choose_run_folder(tmp_path, "a", DIGEST) == (highest, True)


def test_another_digest_or_a_finished_run_gives_the_lowest_free_name(tmp_path: Path) -> None:
    started(tmp_path / "a", "end")
    started(tmp_path / "a-2", "step", digest="b" * 64)
    started(tmp_path / "a-4", "end")
    assert choose_run_folder(tmp_path, "a", DIGEST) == (tmp_path / "a-3", False)


def test_new_never_goes_on(tmp_path: Path) -> None:
    started(tmp_path / "a", "step")
    assert choose_run_folder(tmp_path, "a", DIGEST, new=True) == (tmp_path / "a-2", False)


def test_a_name_that_only_begins_alike_is_another_run(tmp_path: Path) -> None:
    started(tmp_path / "a-b", "step")
    started(tmp_path / "a-01", "step")
    started(tmp_path / "a-1", "step")
    assert choose_run_folder(tmp_path, "a", DIGEST) == (tmp_path / "a", False)


def test_a_live_run_is_refused(tmp_path: Path) -> None:
    folder = started(tmp_path / "a", "step")
    with hold_run_folder(folder):
        assert is_live(folder)
        with pytest.raises(UsageError, match="live"):
            choose_run_folder(tmp_path, "a", DIGEST)
        with pytest.raises(UsageError, match="live"), hold_run_folder(folder):
            pass
        assert choose_run_folder(tmp_path, "a", DIGEST, new=True) == (tmp_path / "a-2", False)
    assert not is_live(folder)


def test_a_killed_run_is_not_live(tmp_path: Path) -> None:
    folder = started(tmp_path / "a", "step")
    code = (
        "import sys, time; from pathlib import Path; from prerl_spec.compiler.past_runs.run_folder import hold_run_folder\n"
        "with hold_run_folder(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert is_live(folder)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not is_live(folder)
    assert choose_run_folder(tmp_path, "a", DIGEST) == (folder, True)


def test_a_torn_last_line_is_no_end(tmp_path: Path) -> None:
    folder = started(tmp_path / "a", "step")
    with (folder / "events.jsonl").open("a") as file:
        file.write('{"event": "end"}')
    assert not is_finished(folder)


@pytest.mark.parametrize("exists", [True, False])
def test_a_given_folder_that_is_absent_or_empty_starts(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "here"
    if exists:
        folder.mkdir()
    assert choose_run_folder(tmp_path, "a", DIGEST, run_dir=folder, new=True) == (folder, False)


def test_a_given_folder_with_an_unfinished_run_goes_on(tmp_path: Path) -> None:
    folder = started(tmp_path / "here", "step")
    assert choose_run_folder(tmp_path, "a", DIGEST, run_dir=folder) == (folder, True)


def test_anything_else_in_a_given_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("dear diary")
    (tmp_path / "file").write_text("")
    refused = {
        started(tmp_path / "finished", "end"): "finished",
        started(tmp_path / "other", "step", digest="b" * 64): "another plan",
        tmp_path / "notes": "not a run folder",
        tmp_path / "file": "is a file",
    }
    for folder, why in refused.items():
        with pytest.raises(UsageError, match=why):
            choose_run_folder(tmp_path, "a", DIGEST, run_dir=folder)
    with pytest.raises(UsageError, match="not empty"):
        choose_run_folder(tmp_path, "a", DIGEST, run_dir=started(tmp_path / "here", "step"), new=True)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("prerl_spec.compiler.past_runs.run_folder.fcntl.flock", flock)
    with (
        pytest.raises(EnvironmentUnmet, match=r"the file system of .* has no locks") as caught,
        hold_run_folder(tmp_path),
    ):
        pass
    assert caught.value.exit_code == 3
    with pytest.raises(EnvironmentUnmet, match="has no locks"):
        is_live(tmp_path)
