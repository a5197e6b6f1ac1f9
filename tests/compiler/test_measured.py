"""Times of an earlier run of the same spec on the same machine stand in for the estimate."""

import json
import os
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.hardware import detect_hardware
from prerl_spec.compiler.past_runs.calibration import CALIBRATION, EvaluatorTimes, PhaseTimes, Profile
from prerl_spec.compiler.past_runs.measured_lengths import Lengths, measured_lengths
from prerl_spec.compiler.past_runs.measured_times import measured, whole_seconds
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.render.last_line import Seen
from prerl_spec.compiler.render.render_plan import render_plan
from tests.compiler.specs import TINY, written
from tests.run_files import write_events, write_object


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    text = TINY.replace('output_dir = "runs"', f'output_dir = "{tmp_path / "runs"}"')
    return compile_spec(written(tmp_path, text)).plan


GPU = detect_hardware().gpus[0].name if detect_hardware().gpus else None


def step(phase: str, seconds: float) -> dict[str, Any]:
    return {"event": "step", "phase": phase, "seconds": {"total": seconds}}


def note_run(
    plan: Plan, name: str, *events: dict[str, Any], digest: str | None = None, machine: str = "", processes: int = 1
) -> Path:
    """A run folder as far as times are concerned."""
    folder = Path(plan.output_dir) / name
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(replace(plan, digest=digest or plan.digest).text())
    here = {
        "platform": machine or platform.platform(),
        "cpu_count": os.cpu_count(),
        "gpu": GPU,
        "world_size": processes,
    }
    write_object(folder / "manifest.json", {"lineage": [{"environment": here}]})
    write_events(folder / "events.jsonl", events)
    with (folder / "events.jsonl").open("a") as file:
        file.write('{"event": "st')
    return folder


PRETRAIN = [step("pretrain", s) for s in (9.0, 1.0, 3.0)]


def test_three_steps_calibrate_a_phase_and_the_first_does_not_count(plan: Plan) -> None:
    folder = note_run(plan, "tiny", *PRETRAIN, step("prune", 5.0), step("prune", 5.0))
    found = measured(plan)
    assert found is not None
    assert (found.folder, found.step) == (folder, {"pretrain": 2.0})


def test_the_newest_run_of_this_digest_on_this_machine_counts(plan: Plan) -> None:
    assert measured(plan) is None
    note_run(plan, "tiny", *PRETRAIN, digest="another")
    note_run(plan, "tiny-2", *PRETRAIN, machine="another")
    note_run(plan, "tiny-3", *PRETRAIN, processes=2)
    other = replace(plan, phases=tuple(replace(p, tokens_per_pass=64) for p in plan.phases))
    note_run(other, "tiny-4", *PRETRAIN)
    assert measured(plan) is None
    third = note_run(plan, "tiny-5", *PRETRAIN)
    note_run(plan, "tiny-6", *PRETRAIN[:2])
    found = measured(plan)
    assert found is not None
    assert found.folder == third


def test_what_was_not_measured_stays_an_estimate(plan: Plan) -> None:
    note_run(plan, "tiny", *PRETRAIN)
    found = measured(plan)
    assert found is not None
    assert plan.estimated_seconds is not None
    estimate = plan.phases[0].cost
    assert estimate is not None
    taken = 9.0 + 8 * 2.0
    assert whole_seconds(plan, found) == pytest.approx(plan.estimated_seconds + taken - 9 * estimate.seconds_per_step)


def test_phases_and_rounds_add_up_where_all_are_measured(plan: Plan) -> None:
    steps = [step(p, s) for p, s in (("pretrain", 2.0), ("prune", 3.0), ("refine", 4.0)) for _ in range(3)]
    note_run(plan, "tiny", {"event": "evaluate", "evaluator": 0, "seconds": 10.0}, *steps)
    found = measured(plan)
    assert found is not None
    assert whole_seconds(plan, found) == 9 * 2.0 + 5 * 3.0 + 7 * 4.0 + 4 * 10.0
    page = " ".join(render_plan(plan, found).split())
    assert f"measured 2 s per step, 18 s in all, in {found.folder}" in page
    assert "at the response lengths" not in page
    assert "about 101 s in all, as measured in" in page
    assert "as measured in" not in render_plan(plan)


def test_the_newest_counts_be_it_a_run_or_a_calibration(plan: Plan) -> None:
    steps = [step(p.id, 1.0) for p in plan.phases for _ in range(3)]
    run = note_run(plan, "tiny", *steps)
    calibration = note_profile(plan, "tiny.profile", pretrain=2.0, prune=3.0, refine=4.0)
    for newer, older in (
        (run / "events.jsonl", calibration / CALIBRATION),
        (calibration / CALIBRATION, run / "events.jsonl"),
    ):
        os.utime(older, (1e9, 1e9))
        os.utime(newer, (2e9, 2e9))
        found = measured(plan)
        assert found is not None
        assert found.folder == newer.parent


def sampled(phase: str, length: float) -> dict[str, Any]:
    return {"event": "step", "phase": phase, "seconds": {"total": 1.0}, "metrics": {"response_length": length}}


def test_lengths_of_an_earlier_run_turn_the_bound_into_an_estimate(plan: Plan) -> None:
    assert measured_lengths(plan) is None
    bound = " ".join(render_plan(plan).split())
    assert "time at most about" in bound
    assert "at most about" in bound.rpartition("needs:")[2]
    left_out = "as if every response had the maximum length, without start-up, verification and checkpoints; `run"
    assert left_out in " ".join(bound.rpartition("needs:")[2].split())
    other = note_run(
        plan, "tiny", sampled("prune", 12.0), sampled("prune", 18.0), sampled("refine", 30.0), machine="another"
    )
    lengths = measured_lengths(plan)
    assert lengths == Lengths(other, {"prune": 15.0, "refine": 30.0})
    page = " ".join(render_plan(plan, seen=Seen(lengths=lengths)).split())
    assert f"at 15 tokens a response, the mean in {other}; at most about" in page
    assert "measured lengths of training's responses" in page
    prune = plan.phases[1].cost
    assert prune is not None
    assert prune.seconds_without_responses is not None
    assert prune.seconds_without_responses < prune.seconds_at(0.25) < prune.seconds_at(1.0) == prune.seconds_per_step


def test_lengths_under_another_decoding_or_of_another_model_say_nothing(plan: Plan) -> None:
    longer = replace(
        plan,
        phases=tuple(
            replace(p, sampler=replace(p.sampler, settings={**p.sampler.settings, "max_new_tokens": 99}))
            if p.sampler
            else p
            for p in plan.phases
        ),
    )
    note_run(longer, "tiny", sampled("prune", 12.0))
    note_run(replace(plan, model=replace(plan.model, settings={})), "tiny-2", sampled("prune", 12.0))
    assert measured_lengths(plan) is None


def note_profile(plan: Plan, name: str, **phases: float) -> Path:
    """A calibration's folder: a first step of 9 seconds, then two of so many."""
    folder = note_run(plan, name)
    (folder / "plan.json").unlink()

    def times(phase: str, later: float) -> PhaseTimes:
        seconds = tuple({"sample": 0.5, "verify": 0.0, "train": 0.25, "total": s} for s in (9.0, later, later))
        return PhaseTimes(phase, seconds, ({},) * 3, 1 << 30)

    rounds = (EvaluatorTimes("lm_eval", 1.0, 10.0, 8, 80),)
    profile = Profile(folder, plan.name, plan.digest, 6.0, tuple(times(p, s) for p, s in phases.items()), rounds)
    (folder / CALIBRATION).write_text(json.dumps(profile.as_json(plan.as_json())))
    return folder


def test_a_calibration_stands_in_where_no_run_has_begun(plan: Plan) -> None:
    note_profile(plan, "tiny.profile", pretrain=3.0, prune=3.0, refine=4.0)
    folder = note_profile(plan, "tiny.profile-2", pretrain=2.0, prune=3.0, refine=4.0)
    found = measured(plan)
    assert found is not None
    assert found.folder == folder
    assert whole_seconds(plan, found) == 3 * 9.0 + 8 * 2.0 + 4 * 3.0 + 6 * 4.0 + 4 * 10.0
    page = " ".join(render_plan(plan, found).split())
    limits = "at the response lengths of the first steps"
    assert f"2 s per step, 25 s in all, 1.0 GiB of peak memory per process, in {folder}" in page
    assert f"3 s per step, 21 s in all, 1.0 GiB of peak memory per process {limits}, in {folder}" in page
    assert f"about 119 s in all, plus 6 s of start-up, as measured in {folder} {limits}" in page


def test_a_run_of_all_phases_counts_more_than_a_calibration_and_that_more_than_a_run_cut_short(plan: Plan) -> None:
    calibration = note_profile(plan, "tiny.profile", pretrain=2.0, prune=3.0, refine=4.0)
    note_run(plan, "tiny", *PRETRAIN)
    found = measured(plan)
    assert found is not None
    assert found.folder == calibration
    whole = note_run(plan, "tiny-2", *(step(p.id, 1.0) for p in plan.phases for _ in range(3)))
    found = measured(plan)
    assert found is not None
    assert found.folder == whole


def test_a_calibration_of_another_meaning_or_pace_or_cut_short_says_nothing(plan: Plan) -> None:
    note_profile(replace(plan, digest="0" * 64), "tiny.profile", pretrain=2.0)
    note_profile(replace(plan, distributed={**plan.distributed, "strategy": "fsdp2"}), "tiny.profile-2", pretrain=2.0)
    (note_profile(plan, "tiny.profile-3", pretrain=2.0) / CALIBRATION).write_text('{"format": 1')
    assert measured(plan) is None
