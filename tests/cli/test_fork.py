"""`fork RUN@PHASE`: the phases behind it in a new run, whose spec stands for itself."""

import shutil
import tomllib
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.compiler.compare.forked_spec import forked_spec
from prerl_spec.compiler.compile import compile_spec, read_plan
from prerl_spec.compiler.past_runs.run_folder import hold_run_folder
from prerl_spec.storage.sealed import read_array
from tests.engine.continued import HEAD, SECOND, result, whole

PARENT = """
spec = 1
vars = { lr = 1e-3 }
rewards = [{ use = "length_penalty", weight = 0.1 }]
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was composed of two files and an option of the command line, whose second phase has no rewards."""
    folder = tmp_path_factory.mktemp("forked")
    (folder / "parent.toml").write_text(PARENT)
    text = whole().replace("spec = 1", 'spec = 1\nextends = ["parent.toml"]').replace("1e-3", '"${vars.lr}"')
    text = text.replace('output_dir = "runs"', f'output_dir = "{folder / "runs"}"')
    (folder / "spec.toml").write_text(text + "rewards = []\n")
    assert main(["run", str(folder / "spec.toml"), "--set", "sampler.max_new_tokens=8"]) == 0
    (folder / "parent.toml").unlink()
    return folder / "runs" / "small"


def test_a_fork_goes_on_to_the_bits_of_its_run(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "fork"
    assert main(["fork", f"{source}@pretrain", "--run-dir", str(folder)]) == 0
    assert result(folder) == result(source)
    written = tomllib.loads((folder / "spec.toml").read_text())
    assert [phase["id"] for phase in written["phases"]] == ["refine"]
    assert written["start"] == {"from": f"{source}@pretrain"}
    assert written["phases"][0]["rewards"] == []
    assert {"extends", "vars", "rewards"}.isdisjoint(written)
    capsys.readouterr()
    assert main(["validate", str(folder / "spec.toml")]) == 0
    assert "warning" not in capsys.readouterr().err
    assert compile_spec(folder / "spec.toml").plan.digest == read_plan(folder / "plan.json").digest
    assert main(["resume", str(folder)]) == 0


def test_an_overlay_changes_what_comes(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = tmp_path / "more.toml"
    overlay.write_text("run.seed = 4\n" + SECOND.replace('"refine"', '"again"').replace("1e-3", '"${vars.lr}"'))
    fork = forked_spec(source, "refine", (), (), (overlay,), False)
    written = tomllib.loads(fork.source_text)
    assert [phase["id"] for phase in written["phases"]] == ["again"]
    assert written["run"]["seed"] == 4
    assert written["sampler"]["max_new_tokens"] == 8
    assert main(["fork", f"{source}@refine"]) == 2
    assert "comes after `refine`" in capsys.readouterr().err


def test_what_an_overlay_may_not_change_is_shown_where_it_is_written(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay = tmp_path / "other.toml"
    overlay.write_text("[model.config]\nhidden_size = 64\n")
    assert main(["fork", f"{source}@pretrain", "--overlay", str(overlay)]) == 1
    err = capsys.readouterr().err
    assert "`config.hidden_size` of this run's model is 64" in err
    assert f"{overlay}:2:15" in err
    for text in ('id = "pretrain"\nschedule.steps = 9\n', 'id = "more"\nafter = "pretrain"\n'):
        overlay.write_text(f"[[phases]]\n{text}")
        assert main(["fork", f"{source}@pretrain", "--overlay", str(overlay)]) == 1
        assert "phase `pretrain` lies behind this fork" in capsys.readouterr().err
    overlay.write_text('start.from = "elsewhere@pretrain"\n')
    assert main(["fork", f"{source}@pretrain", "--overlay", str(overlay)]) == 2
    assert "`start.from` was changed" in capsys.readouterr().err


def test_the_fork_of_a_run_that_was_moved_lies_beside_it(source: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(source, tmp_path / "moved" / "small"))
    source.parent.rename(tmp_path / "away")
    try:
        fork = forked_spec(run, "pretrain", (), (), (), False)
    finally:
        (tmp_path / "away").rename(source.parent)
    assert tomllib.loads(fork.source_text)["run"]["output_dir"] == str(tmp_path / "moved")


@pytest.mark.parametrize(
    ("origin", "said", "hint"),
    [
        ("{source}@prune", "has no phase `prune`", "{source}@pretrain, {source}@refine"),
        ("{source}", "no phase of it is named", "{source}@pretrain"),
        ("{source}/checkpoints/step-000003", "names no phase", "fork RUN@PHASE"),
        ("{source}/nowhere@pretrain", "there is no folder", "RUN@PHASE"),
        ("{source}/journal@pretrain", "is not a run folder", "name"),
    ],
)
def test_what_cannot_be_forked_is_a_mistake_in_the_command(
    source: Path, capsys: pytest.CaptureFixture[str], origin: str, said: str, hint: str
) -> None:
    assert main(["fork", origin.format(source=source)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert hint.format(source=source) in err


def test_a_phase_without_its_checkpoint_and_a_live_run_are_not_forked(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(source, tmp_path / "small"))
    with hold_run_folder(run):
        assert main(["fork", f"{run}@pretrain"]) == 2
    assert f"the run in {run} is live" in capsys.readouterr().err
    shutil.rmtree(run / "checkpoints" / "step-000003")
    assert main(["fork", f"{run}@pretrain"]) == 2
    assert "its checkpoint" in capsys.readouterr().err


def test_a_run_that_means_something_else_by_now_is_not_forked(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("prerl_spec.compiler.compare.forked_spec._LISTS", ())
    assert main(["fork", f"{source}@pretrain"]) == 4
    assert "phases.refine.rewards" in capsys.readouterr().err


@pytest.mark.slow
def test_a_fork_is_scored_as_its_run_was(tmp_path: Path) -> None:
    """Its first phase has another system prompt than that of the run, which evaluators take by default."""
    (tmp_path / "rows.jsonl").write_text('{"question": "1 + 1", "answer": "2"}\n' * 4)
    brief = '\n[data.brief]\nuse = "jsonl"\npath = "rows.jsonl"\nsystem = "Be brief."\nchat = "off"\n'
    scored = '[[evaluate]]\nuse = "lm_eval"\ntasks = ["arithmetic_chains_easy"]\nlimit = 2\nat = ["end"]\n'
    first = SECOND.replace('"refine"\n', '"first"\ndata = "brief"\n')
    text = HEAD.replace('output_dir = "runs"', f'output_dir = "{tmp_path / "runs"}"') + brief + scored + first + SECOND
    (tmp_path / "spec.toml").write_text(text)
    assert main(["run", str(tmp_path / "spec.toml")]) == 0
    run, fork = tmp_path / "runs" / "small", tmp_path / "fork"
    assert main(["fork", f"{run}@first", "--run-dir", str(fork)]) == 0
    assert read_array(run / "scores.json") == read_array(fork / "scores.json")
