"""`resume`: on in a folder, under the run's own plan or one that extends it; anything else is refused and explained."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from prerl_spec.cli.main import main
from prerl_spec.cli.runs.resume import keep_aside
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.engine.record.events import EventLog, Silence
from tests.engine.runs import SPEC, steps_of, weights_at

SHORT = SPEC.replace("steps = 2 }\n", "steps = 1 }\n")
MORE_PHASES = f"""{SPEC}
[[phases]]
id = "last"
prompts_per_step = 4
objective = "grpo"
schedule = {{ use = "fixed_steps", steps = 1 }}
"""


def command(folder: Path, *arguments: str | Path, spec: str | None = None) -> int:
    """A command on spec.toml of the folder, which is written first where a text is given."""
    if spec is not None:
        (folder / "spec.toml").write_text(spec)
    return main([str(a) for a in arguments])


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose last phase took one step."""
    folder = tmp_path_factory.mktemp("once")
    assert SHORT != SPEC
    assert command(folder, "run", str(folder / "spec.toml"), "--run-dir", str(folder / "run"), spec=SHORT) == 0
    return folder


@pytest.fixture
def finished(once: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(once, tmp_path / "copy"))


def test_more_steps_in_the_last_phase_go_on_to_the_bits_of_one_long_run(finished: Path, tmp_path: Path) -> None:
    assert command(finished, "resume", str(finished / "run"), str(finished / "spec.toml"), spec=SPEC) == 0
    assert [e["global_step"] for e in steps_of(finished / "run")] == list(range(1, 9))
    whole = tmp_path / "whole"
    assert command(finished, "run", str(finished / "spec.toml"), "--run-dir", str(whole)) == 0
    for name, tensor in weights_at(whole, 8).items():
        assert torch.equal(weights_at(finished / "run", 8)[name], tensor), name
    assert json.loads((finished / "run" / "plan.json").read_text()) != json.loads(
        (finished / "run" / "plan-1.json").read_text()
    )


@pytest.mark.parametrize("begun", [False, True])
def test_an_extension_that_was_cut_short_goes_on_without_its_spec(finished: Path, begun: bool) -> None:
    """Stopped before anything of it is committed: while it still loads, or in its first step."""
    run, spec = finished / "run", finished / "spec.toml"
    spec.write_text(SPEC)
    later = compile_spec(spec)
    keep_aside(run, later.graph.plan, SPEC)
    if begun:
        EventLog(run / "events.jsonl", Silence(), writes=True).write("resume", global_step=7)
    assert command(finished, "resume", str(run)) == 0
    assert [e["global_step"] for e in steps_of(run)] == list(range(1, 9))


def test_a_phase_that_is_appended_is_run(finished: Path) -> None:
    longer = MORE_PHASES.replace("steps = 2 }\n", "steps = 1 }\n")
    assert command(finished, "resume", str(finished / "run"), str(finished / "spec.toml"), spec=longer) == 0
    assert [e["phase"] for e in steps_of(finished / "run")][-2:] == ["refine", "last"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed = 3", "seed = 4", "run.seed: 3 -> 4"),
        ("lr = 1e-3", "lr = 1e-4", "phases.pretrain.optimizer.lr: 0.001 -> 0.0001"),
        ('use = "reincarnate_after", steps = 3', 'use = "reincarnate_after", steps = 4', "phases.prune.schedule"),
        ("documents_per_step = 8", "documents_per_step = 9", "phases.pretrain.documents_per_step: 8 -> 9"),
    ],
)
def test_another_meaning_is_refused_leaf_by_leaf(
    finished: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    before = sorted(f.name for f in (finished / "run").iterdir())
    spec = SHORT.replace(old, new)
    assert command(finished, "resume", str(finished / "run"), str(finished / "spec.toml"), spec=spec) == 4
    err = capsys.readouterr().err
    assert err.startswith("error[E0501]: the spec differs in meaning from this run")
    assert said in err
    assert sorted(f.name for f in (finished / "run").iterdir()) == before


def test_a_finished_run_has_nothing_to_do(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(finished, "resume", str(finished / "run")) == 0
    assert "finished: nothing to resume" in capsys.readouterr().err


READING = """
[[phases]]
id = "{name}"
data = "corpus"
documents_per_step = 2
objective = "next_token"
schedule = {{ use = "fixed_steps", steps = 1{more} }}
"""
COMPARING = """
[[phases]]
id = "compare"
prompts_per_step = 2
objective = { use = "weighted_sum", terms = [{ use = "marginal_nsr", advantage = "minus_one" }, "kl"] }
schedule = { use = "fixed_steps", steps = 1 }
"""


def test_a_reference_that_only_an_extension_asks_for_is_what_the_boundaries_before_it_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Taken over at the end of `one`, kept at the end of `two`: neither the model as given nor that of the last step."""
    head = SPEC[: SPEC.index("[[phases]]")].replace("keep = 2", "keep = 1")
    kept = READING.format(name="one", more="") + READING.format(name="two", more=', reference = "keep"')
    run, spec = tmp_path / "run", tmp_path / "spec.toml"
    assert command(tmp_path, "run", spec, "--run-dir", run, spec=head + kept) == 0
    other = shutil.copytree(run, tmp_path / "other")
    assert command(tmp_path, "run", spec, "--run-dir", tmp_path / "whole", spec=head + kept + COMPARING) == 0
    assert command(tmp_path, "resume", run, spec) == 0
    for name, tensor in weights_at(tmp_path / "whole", 3).items():
        assert torch.equal(weights_at(run, 3)[name], tensor), name
    shutil.rmtree(other / "checkpoints" / "step-000001")
    capsys.readouterr()
    assert command(tmp_path, "resume", other, spec) == 3
    assert "the end of phase `one`" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_a_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path, "resume", str(tmp_path)) == 2
    assert "plan.json" in capsys.readouterr().err
