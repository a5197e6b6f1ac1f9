"""What a refused start leaves: nothing, unless something was computed or was there before."""

from pathlib import Path

import pytest

from prerl_spec.compiler.past_runs.refused_start import Places, nothing_left
from prerl_spec.errors import EnvironmentUnmet, Interrupted, PrerlError, RunFailed, UsageError
from tests.run_files import write_events


def folder_of(output_dir: Path) -> Path:
    folder = output_dir / "mine"
    folder.mkdir(parents=True)
    for name in ("plan.json", "spec.toml", "run.lock"):
        (folder / name).write_text("")
    return folder


def start(folder: Path, before: Places, error: PrerlError, *made: str) -> None:
    """A start that writes files into its folder, then fails."""

    def fails() -> None:
        with nothing_left(folder, before):
            for name in made:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text("x")
            raise error

    with pytest.raises(type(error)):
        fails()


@pytest.mark.parametrize("error", [EnvironmentUnmet("no"), UsageError("no")])
def test_a_refused_start_leaves_nothing(tmp_path: Path, error: PrerlError) -> None:
    before = Places.before(tmp_path / "runs")
    folder = folder_of(tmp_path / "runs")
    start(folder, before, error, "manifest.json", "tokenizers/train/tokenizer.json", "evaluation/tasks/sums.yaml")
    assert not (tmp_path / "runs").exists()


def test_folders_that_were_there_stay(tmp_path: Path) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    before = Places.before(tmp_path / "runs" / "mine", tmp_path / "runs")
    (tmp_path / "runs" / "mine").rmdir()
    start(folder_of(tmp_path / "runs"), before, UsageError("no"))
    assert list((tmp_path / "runs" / "mine").iterdir()) == []


@pytest.mark.parametrize(
    "made", ["journal/step-000001.frames", "checkpoints/step-000001/x", "evaluation/samples/a.jsonl"]
)
def test_what_was_computed_stays(tmp_path: Path, made: str) -> None:
    folder = folder_of(tmp_path / "runs")
    start(folder, Places.before(), EnvironmentUnmet("no"), made)
    assert (folder / made).exists()


def test_a_run_with_an_event_stays(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "runs")

    def begun() -> None:
        with nothing_left(folder, Places.before()):
            write_events(folder / "events.jsonl", [{"event": "start"}])
            raise UsageError("no")

    with pytest.raises(UsageError):
        begun()
    assert (folder / "events.jsonl").exists()


@pytest.mark.parametrize("error", [RunFailed("no"), Interrupted("no")])
def test_a_run_that_failed_or_was_interrupted_stays(tmp_path: Path, error: PrerlError) -> None:
    folder = folder_of(tmp_path / "runs")
    start(folder, Places.before(), error)
    assert (folder / "plan.json").exists()


def test_a_folder_with_more_than_a_starts_own_files_is_not_touched(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "runs")
    (folder / "notes.txt").write_text("mine")
    start(folder, Places.before(), UsageError("no"))
    assert (folder / "notes.txt").exists()


def test_the_exit_code_of_other_processes_counts_like_an_error(tmp_path: Path) -> None:
    for code, left in ((75, True), (5, True), (0, True), (3, False)):
        folder = folder_of(tmp_path / f"runs-{code}")
        with nothing_left(folder, Places.before()) as ended:
            ended(code)
        assert folder.exists() is left
