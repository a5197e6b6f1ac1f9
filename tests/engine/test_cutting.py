"""A study's cut: arms of any length end within one step of one budget, scored there, and a kill changes nothing of it."""

import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from prerl_spec.cli.main import main
from prerl_spec.compiler.build_graph import build_graph
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.graph import Cut, Graph
from prerl_spec.compiler.past_runs.run_folder import choose_run_folder, hold_run_folder
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.cut import with_cut
from prerl_spec.engine.inspect.replay import replay
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.record.events import EventLog, Silence, read_events
from prerl_spec.engine.record.run_inputs import write_given
from prerl_spec.engine.run.cutting import Cutting
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.run import run
from prerl_spec.errors import Interrupted
from tests.engine.runs import SPEC, Heard, steps_of, weights_at

TWO_PHASES = (
    SPEC[: SPEC.index("[[phases]]")]
    .replace("lr = 1e-3", 'lr = 1e-3, lr_schedule = "linear"')
    .replace("hidden_size = 32", "hidden_size = 16")
    + """
[[evaluate]]
use = "holdout"
data = "train"
limit = 2
max_new_tokens = 1
at = ["phases", "end"]

[[phases]]
id = "warm"
prompts_per_step = 2
objective = { use = "marginal_nsr", advantage = "minus_one" }
schedule = { use = "reincarnate_after", steps = 2 }

[[phases]]
id = "refine"
prompts_per_step = 2
objective = { use = "marginal_pg", advantage = "minus_one" }
schedule = { use = "fixed_steps", steps = 2 }
"""
)
FIVE = Cut("steps", 5)
"""One step more than the phases have: the last one goes on."""


def planned(folder: Path, cut: Cut | None, text: str = TWO_PHASES) -> Plan:
    folder.mkdir(exist_ok=True)
    file = folder / "spec.toml"
    file.write_text(text)
    return with_cut(compile_spec(file).plan, cut)


def start(folder: Path, cut: Cut | None, text: str = TWO_PHASES, listener: Heard | None = None) -> Path:
    """Runs a spec until a cut, or goes on with it; gives the run folder."""
    plan = planned(folder, cut, text)
    graph = build_graph(plan, plan.spec_text)
    taken, _ = choose_run_folder(folder / "runs", graph.run.name, graph.digest)
    with hold_run_folder(taken):
        write_given(taken, graph)
        return run(graph, taken, listener or Heard())


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start(tmp_path_factory.mktemp("five"), FIVE)


def course(folder: Path) -> list[tuple[Any, ...]]:
    """What happened, without times: steps with their hashes, cuts, phases, scores and warnings."""
    shown = ("event", "phase", "state", "global_step", "hashes", "metrics", "message", "reached")
    kept = ("step", "cut", "phase", "evaluate", "warning", "end")
    return [tuple(e.get(k) for k in shown) for e in read_events(folder / "events.jsonl") if e["event"] in kept]


def kept(folder: Path) -> list[str]:
    return sorted(f.name for f in (folder / "checkpoints").iterdir())


def same_weights(one: Path, other: Path, step: int) -> bool:
    return all(torch.equal(weights_at(other, step)[n], t) for n, t in weights_at(one, step).items())


def test_arms_of_any_length_end_within_one_step_of_the_budget(tmp_path: Path) -> None:
    """Responses of 12 tokens reach it inside the first phase, those of 5 in the second."""
    for length, phase in ((12, "warm"), (5, "refine")):
        text = TWO_PHASES.replace("max_new_tokens = 12", f"max_new_tokens = {length}")
        folder = start(tmp_path / str(length), Cut("generated_tokens", 85), text)
        tokens = [e["tokens"]["generated"] for e in steps_of(folder)]
        (event,) = (e for e in read_events(folder / "events.jsonl") if e["event"] == "cut")
        assert event["reached"] == sum(tokens) >= 85 > sum(tokens[:-1])
        assert (event["match"], event["budget"], event["phase"]) == ("generated_tokens", 85, phase)
    events = [
        (e["event"], e.get("phase"), e.get("state"))
        for e in read_events(tmp_path / "12" / "runs" / "small" / "events.jsonl")
    ]
    assert events == [
        ("phase", "warm", "begin"),
        ("step", "warm", None),
        ("checkpoint", None, None),
        ("cut", "warm", None),
        ("phase", "warm", "end"),
        ("evaluate", "warm", None),
        ("end", None, None),
    ], "the remaining phase is not begun, and one evaluation serves the phase's end and the run's"


@pytest.mark.slow
def test_trained_tokens_are_those_with_weight(tmp_path: Path) -> None:
    folder = start(tmp_path, Cut("trained_tokens", 150))
    tokens = [e["tokens"]["trained"] for e in steps_of(folder)]
    assert sum(tokens) >= 150 > sum(tokens[:-1])


def test_the_last_phase_goes_on_at_the_learning_rate_of_its_end(five: Path) -> None:
    assert [(e["phase"], e["step"]) for e in steps_of(five)] == [
        ("warm", 1), ("warm", 2), ("refine", 1), ("refine", 2), ("refine", 3),
    ]  # fmt: skip
    assert [e["metrics"]["lr"] for e in steps_of(five)] == pytest.approx([1e-3, 5e-4, 1e-3, 5e-4, 5e-4])
    scored = [(e["phase"], e["global_step"]) for e in read_events(five / "events.jsonl") if e["event"] == "evaluate"]
    assert scored == [("warm", 2), ("refine", 5)], "not where its own steps ended"
    assert kept(five) == ["step-000002", "step-000004", "step-000005"], "phase ends, and the newest two"


@pytest.mark.slow
def test_a_budget_that_is_out_of_reach_ends_at_four_times_the_steps_with_a_warning(tmp_path: Path) -> None:
    short = TWO_PHASES.replace("steps = 2 }", "steps = 1 }")
    folder = start(tmp_path, Cut("generated_tokens", 1e6), short)
    tokens = sum(e["tokens"]["generated"] for e in steps_of(folder))
    assert [e["phase"] for e in steps_of(folder)] == ["warm", *["refine"] * 4]
    (told,) = (e["message"] for e in read_events(folder / "events.jsonl") if e["event"] == "warning")
    assert told == (
        f"the study's budget of 1,000,000 generated tokens was not reached: {tokens} after 4 steps of refine, 4 times its own"
    )
    assert read_events(folder / "events.jsonl")[-1]["event"] == "end"


@pytest.mark.parametrize("at_step", [pytest.param(4, marks=pytest.mark.slow), 5])
def test_an_interrupt_beyond_the_phases_end_or_at_the_cut_changes_nothing(
    five: Path, tmp_path: Path, at_step: int
) -> None:
    def interrupt(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["global_step"] == at_step:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        start(tmp_path, FIVE, listener=Heard(interrupt))
    folder = start(tmp_path, FIVE)
    assert course(folder) == course(five)
    assert kept(folder) == kept(five)
    assert same_weights(five, folder, 5)


@pytest.mark.slow
def test_a_kill_before_the_cut_is_committed_ends_at_the_same_step(five: Path, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["global_step"] == 5:
            raise Killed

    with pytest.raises(Killed):
        start(tmp_path, FIVE, listener=Heard(kill))
    assert kept(tmp_path / "runs" / "small")[-1] == "step-000004"
    heard = Heard()
    folder = start(tmp_path, FIVE, listener=heard)
    assert [e["taken"] for e in heard.events if e["event"] == "resume"] == [4]
    assert course(folder) == course(five)
    assert same_weights(five, folder, 5)


@pytest.mark.slow
def test_a_raised_budget_goes_on_to_the_bits_of_one_long_run(five: Path, tmp_path: Path) -> None:
    short = start(tmp_path, Cut("steps", 1))
    longer = tmp_path / "longer.json"
    longer.write_text(planned(tmp_path, FIVE).text())
    assert main(["resume", str(short), str(longer)]) == 0
    assert [e["hashes"] for e in steps_of(short)] == [e["hashes"] for e in steps_of(five)]
    assert same_weights(five, short, 5)
    assert main(["resume", str(short), str(tmp_path / "spec.toml")]) == 4, "without the cut it means something else"


@pytest.mark.slow
def test_a_step_beyond_the_phases_end_is_replayed(five: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(five, tmp_path / "copy"))
    plan = planned(tmp_path, FIVE)
    again = replay(build_graph(plan, plan.spec_text), folder, 5, Silence())
    assert (again.start, [step.global_step for step in again.steps], again.is_equal) == ("step-000004", [5], True)


def judged(folder: Path, cut: Cut, *seconds: float) -> Cutting:
    """The cutting of a run of steps that took these seconds."""
    plan = planned(folder, cut)
    graph: Graph = build_graph(plan, plan.spec_text)
    log = EventLog(folder / "events.jsonl", Silence(), writes=True)
    for step, took in enumerate(seconds, 1):
        log.write_step(global_step=step, tokens={"generated": 7, "trained": 5}, seconds={"total": took, "sample": 9.0})
    return Cutting(graph, log, Ranks.start())


def test_seconds_are_those_of_the_steps_that_count_so_that_a_resume_counts_the_same(tmp_path: Path) -> None:
    cut = Cut("seconds", 6, before=1)
    before = judged(tmp_path, cut, 0.5, 2.25, 2.5)
    assert [before.taken(Position(global_step=k)) for k in range(4)] == [1, 1.5, 3.75, 6.25]
    # Killed after step 1 was committed, and step 2 taken again, slower this time.
    log = EventLog(tmp_path / "events.jsonl", Silence(), writes=True)
    log.write_step(global_step=2, tokens={"generated": 7, "trained": 5}, seconds={"total": 9.0, "sample": 9.0})
    resumed = Cutting(before._graph, log, Ranks.start())
    assert [resumed.is_reached(Position(global_step=k)) for k in range(4)] == [False, False, False, True]
