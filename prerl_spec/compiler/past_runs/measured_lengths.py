"""Mean response lengths of an earlier run or calibration, on any machine: with them a plan estimates instead of bounding."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from prerl_spec.compiler.past_runs.calibration import CALIBRATION, read_profile
from prerl_spec.compiler.past_runs.run_folder import PROFILE, numbered
from prerl_spec.compiler.plan import Plan
from prerl_spec.errors import Damaged
from prerl_spec.storage.chained_lines import read_lines
from prerl_spec.storage.sealed import read_object

EVENTS = "events.jsonl"
SPEED_ALONE = frozenset({"engine", "group_size", "max_gap", "urls", "push_dir", "key"})
"""Settings of samplers on which the length of a response does not depend."""


@dataclass(frozen=True)
class Lengths:
    """Mean tokens of a response by phase, and the folder that they were measured in."""

    folder: Path
    tokens: Mapping[str, float]


def measured_lengths(plan: Plan) -> Lengths | None:
    """Of the newest run or calibration of this name whose model, data and decoding are the plan's in at least one phase; None
    if there is none."""
    output_dir, now = Path(plan.output_dir), plan.as_json()
    runs = [(folder / EVENTS, _of_run) for folder in numbered(output_dir, plan.name).values()]
    profiles = [
        (folder / CALIBRATION, _of_profile) for folder in numbered(output_dir, f"{plan.name}{PROFILE}").values()
    ]
    existing = [(file, read) for file, read in (*runs, *profiles) if file.is_file()]
    for file, read in sorted(existing, key=lambda one: one[0].stat().st_mtime, reverse=True):
        if tokens := read(file.parent, plan, now):
            return Lengths(file.parent, tokens)
    return None


def _of_run(folder: Path, plan: Plan, now: Mapping[str, Any]) -> dict[str, float]:
    try:
        before, events = read_object(folder / "plan.json"), read_lines(folder / EVENTS).entries
    except (Damaged, OSError):
        return {}
    theirs = {phase["id"]: _decides_length(before, phase) for phase in before.get("phases", ())}
    found: dict[str, float] = {}
    for phase in now["phases"]:
        if phase["sampler"] is None or theirs.get(phase["id"]) != _decides_length(now, phase):
            continue
        steps = [e["metrics"] for e in events if e["event"] == "step" and e["phase"] == phase["id"]]
        if lengths := [m["response_length"] for m in steps if isinstance(m.get("response_length"), int | float)]:
            found[phase["id"]] = fmean(lengths)
    return found


def _of_profile(folder: Path, plan: Plan, now: Mapping[str, Any]) -> dict[str, float]:
    read = read_profile(folder)
    if read is None or read[0].digest != plan.digest:
        return {}
    attempts = {phase.id: phase.attempts_per_step for phase in plan.phases if phase.uses_rollouts}
    return {
        times.phase: fmean(step["generated"] for step in times.tokens) / attempts[times.phase]
        for times in read[0].phases
        if times.phase in attempts and times.tokens
    }


def _decides_length(plan: Mapping[str, Any], phase: Mapping[str, Any]) -> Any:
    """What the lengths of a phase's responses depend on before it trains: model, questions, decoding."""
    sampler = phase["sampler"]
    settings = {} if sampler is None else {k: v for k, v in sampler["settings"].items() if k not in SPEED_ALONE}
    model = {key: plan["model"][key] for key in ("use", "settings", "slots")}
    return [model, phase["data"], [plan["data"][name]["fingerprint"] for name in phase["data"]], settings]
