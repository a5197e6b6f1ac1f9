"""Measured step times of an earlier run or calibration with the same digest, which `plan` prints beside its estimates.

Three steps are enough; the first includes one-time costs and is counted once. Not part of the plan, which does not
depend on earlier runs.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from prerl_spec.compiler.past_runs.calibration import CALIBRATION, pace, read_profile
from prerl_spec.compiler.past_runs.run_folder import PROFILE, digest_of, numbered
from prerl_spec.compiler.plan import Plan
from prerl_spec.errors import Damaged
from prerl_spec.storage.chained_lines import read_lines
from prerl_spec.storage.sealed import read_object

LEAST_STEPS = 3


@dataclass(frozen=True)
class Measured:
    """Seconds of the first and of a later step per phase, of a round per evaluator, and the folder of the run."""

    folder: Path
    step: Mapping[str, float]
    first: Mapping[str, float]
    evaluation: Mapping[int, float]
    opening: float | None = None
    """Seconds before the first step."""
    memory: Mapping[str, int] = field(default_factory=dict)
    """Peak bytes of a process, by phase."""
    of_first_steps: bool = False
    """Whether it is a calibration: response lengths may change later."""
    ended: float = 0.0
    """When it was measured, in seconds since 1970."""

    @property
    def limits(self) -> str:
        """The condition under which the times of a phase with rollouts hold, for messages."""
        return " at the response lengths of the first steps" if self.of_first_steps else ""


def measured(plan: Plan) -> Measured | None:
    """Measurements of this plan on this machine, with as many processes and the same pace; None if there are none.

    Of the runs and calibrations that cover the most phases, the newest.
    """
    output_dir, now = Path(plan.output_dir), pace(plan.as_json())
    runs = (_of_run(plan, folder, now) for folder in _newest_first(output_dir, plan.name))
    profiles = (_of_profile(plan, folder, now) for folder in _newest_first(output_dir, f"{plan.name}{PROFILE}"))
    found = [m for m in (*runs, *profiles) if m is not None and (m.step or m.evaluation)]
    return max(found, key=lambda m: (len(m.step), m.ended), default=None)


def whole_seconds(plan: Plan, found: Measured) -> float | None:
    """Seconds of all phases and evaluations: measured where possible, else estimated. Excludes `opening`."""
    if plan.estimated_seconds is None:
        estimated_evaluation = None
    else:
        estimated_evaluation = plan.estimated_seconds - sum(
            p.cost.seconds_per_step * p.steps for p in plan.phases if p.cost is not None and p.steps is not None
        )
    whole = 0.0
    for phase in plan.phases:
        if phase.steps is None:
            return None
        seconds = phase_seconds(phase.id, phase.steps, found)
        if seconds is None and phase.cost is None:
            return None
        whole += phase.cost.seconds_per_step * phase.steps if seconds is None and phase.cost else seconds or 0.0
    rounds = [(found.evaluation.get(index), e.rounds) for index, e in enumerate(plan.evaluators)]
    if all(seconds is not None and number is not None for seconds, number in rounds):
        return whole + sum((seconds or 0) * (number or 0) for seconds, number in rounds)
    return None if estimated_evaluation is None else whole + estimated_evaluation


def phase_seconds(phase: str, steps: int, found: Measured) -> float | None:
    """Seconds of a phase with `steps` steps: the measured first step, and the others at the time of a later one."""
    if phase not in found.step:
        return None
    return found.first[phase] + (steps - 1) * found.step[phase]


def _newest_first(output_dir: Path, name: str) -> list[Path]:
    return [folder for _, folder in sorted(numbered(output_dir, name).items(), reverse=True)]


def _of_run(plan: Plan, folder: Path, now: Mapping[str, Any]) -> Measured | None:
    """None for a damaged run as well: its times are not used, and `fsck` names what is damaged."""
    try:
        return _of_whole_run(plan, folder, now)
    except Damaged:
        return None


def _of_whole_run(plan: Plan, folder: Path, now: Mapping[str, Any]) -> Measured | None:
    if digest_of(folder) != plan.digest or not _is_of_this_machine(folder, plan):
        return None
    if pace(read_object(folder / "plan.json")) != now:
        return None
    events = read_lines(folder / "events.jsonl").entries
    enough: dict[str, list[float]] = {}
    for phase in plan.phases:
        seconds = [e["seconds"]["total"] for e in events if e["event"] == "step" and e["phase"] == phase.id]
        if len(seconds) >= min(LEAST_STEPS, phase.steps or LEAST_STEPS):
            enough[phase.id] = seconds
    return Measured(
        folder,
        step={phase: median(seconds[1:] or seconds) for phase, seconds in enough.items()},
        first={phase: seconds[0] for phase, seconds in enough.items()},
        evaluation=_evaluation_seconds(events),
        ended=(folder / "events.jsonl").stat().st_mtime if events else 0.0,
    )


def _of_profile(plan: Plan, folder: Path, now: Mapping[str, Any]) -> Measured | None:
    read = read_profile(folder)
    if read is None or read[0].digest != plan.digest or read[1] != now or not _is_of_this_machine(folder, plan):
        return None
    profile = read[0]
    return Measured(
        folder,
        step={p.phase: p.step for p in profile.phases},
        first={p.phase: p.first for p in profile.phases},
        evaluation={index: e.whole for index, e in enumerate(profile.evaluators)},
        opening=profile.opening,
        memory={p.phase: p.peak_bytes for p in profile.phases},
        of_first_steps=any(p.uses_rollouts for p in plan.phases),
        ended=(folder / CALIBRATION).stat().st_mtime,
    )


def _evaluation_seconds(events: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for event in events:
        if event["event"] == "evaluate":
            found.setdefault(event["evaluator"], []).append(event["seconds"])
    return {index: fmean(seconds) for index, seconds in found.items()}


def _is_of_this_machine(folder: Path, plan: Plan) -> bool:
    """Whether the run last ran on this kind of machine with the planned processes: other times do not apply."""
    try:
        manifest = read_object(folder / "manifest.json")
    except FileNotFoundError:
        return False
    last = manifest["lineage"][-1]["environment"]
    gpu = plan.hardware.gpus[0].name if plan.hardware.gpus else None
    return bool(
        (last["platform"], last["cpu_count"], last["gpu"], last["world_size"])
        == (platform.platform(), os.cpu_count(), gpu, plan.distributed["processes"])
    )
