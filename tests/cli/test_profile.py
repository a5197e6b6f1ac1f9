"""`run --profile`: figures and traces in a folder that is no run, and a plan that uses them."""

import gzip
import json
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.compiler.past_runs.run_folder import new_profile_folder
from tests.engine.runs import SPEC

EVALUATOR = """
[[evaluate]]
use = "holdout"
data = "heldout"
samples = 2

[data.heldout]
use = "arithmetic_chains"
part = "easy"
steps = [1, 1]
"""
NUM_ROWS = 512
"""Of part "easy"."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profile")
    text = SPEC.replace('output_dir = "runs"', f'output_dir = "{folder / "runs"}"').replace(
        'schedule = { use = "fixed_steps", steps = 3 }', 'schedule = { use = "fixed_steps", steps = 40 }'
    )
    # Among the documents of 40 steps are longer ones than among those of 3.
    text = text.replace("max_position_embeddings = 64", "max_position_embeddings = 128")
    assert text.count("steps = 40") == 1
    (folder / "spec.toml").write_text(text + EVALUATOR)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    """What the command prints; the module's other tests look at what it left."""
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("builtins.print", lambda *words, **_: said.append(" ".join(map(str, words))))
        assert main(["run", str(folder / "spec.toml"), "--profile"]) == 0
    return "\n".join(said)


def test_seconds_tokens_and_memory_of_every_phase_are_printed(page: str) -> None:
    rows = {line.split()[0]: line.split() for line in page.splitlines() if line.strip()}
    assert rows["seconds"][3:8] == ["sample", "verify", "train", "other", "total"]
    for phase in ("pretrain", "prune", "refine"):
        sample, verify, train, other, total = map(float, rows[phase][1:6])
        assert sample + verify + train + other == pytest.approx(total, abs=0.03)
        assert set(rows[phase][-4:][1::2]) <= {"MiB", "GiB"}
    assert rows["holdout"][1:4] == ["32", "of", str(NUM_ROWS)]
    assert "the whole run: about" in page
    assert "at the response lengths of the first steps" in page


def test_a_trace_of_each_phase_lies_there(folder: Path, page: str) -> None:
    traces = {f.name: f for f in (folder / "runs" / "small.profile" / "trace").iterdir()}
    assert {"pretrain-train.json.gz", "prune-sample.json.gz", "refine-sample.json.gz"} <= set(traces)
    for file in traces.values():
        with gzip.open(file) as stream:
            assert json.load(stream)["traceEvents"]


def test_plan_uses_it_and_it_is_no_run(folder: Path, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    spec, calibrated = str(folder / "spec.toml"), folder / "runs" / "small.profile"
    assert main(["plan", spec]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"as measured in {calibrated} at the response lengths of the first steps" in said
    assert not (calibrated / "plan.json").exists()
    assert not (calibrated / "checkpoints").exists()
    assert main(["resume", str(calibrated)]) == 2
    assert main(["run", spec, "--run-dir", str(calibrated)]) == 2
    short = [f"phases.{p}.schedule.steps=1" for p in ("pretrain", "prune", "refine")]
    sets = [word for path in short for word in ("--set", path)]
    assert main(["run", spec, *sets, "--set", "evaluate=[]"]) == 0
    assert new_profile_folder(folder / "runs", "small").name == "small.profile-2"
    assert {f.name for f in (folder / "runs").iterdir()} == {"small", "small.profile", "small.profile-2"}


@pytest.mark.parametrize("options", [("--new",), ("--debug",), ("--run-dir", "x")])
def test_it_takes_no_folder_and_no_debugger(folder: Path, options: tuple[str, ...]) -> None:
    assert main(["run", str(folder / "spec.toml"), "--profile", *options]) == 2
