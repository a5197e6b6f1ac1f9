"""Reads a run folder into typed tables: steps, phases, scores and times. Opens nothing for writing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from prerl_spec.errors import RunFailed, UsageError
from prerl_spec.storage.run_events import read_run_events, require_known_scores, scores_of
from prerl_spec.storage.sealed import read_array, read_object
from prerl_spec.types import NO_INTERVAL, Score, StepRecord


@dataclass(frozen=True)
class Stretch:
    """The global steps of a phase, both ends included: `Stretch("prune", 651, 665, samples=True)`.

    `samples` is False for a phase that trains on documents: it has a loss and no rewards.
    """

    phase: str
    first: int
    last: int
    samples: bool


@dataclass(frozen=True)
class Seconds:
    """Seconds of a phase by part; `other` is the time of steps outside sampling, verification and training.

    Steps that were lost and repeated count every time. `base` has evaluation only.
    """

    phase: str
    sample: float = 0.0
    verify: float = 0.0
    train: float = 0.0
    other: float = 0.0
    evaluate: float = 0.0

    @property
    def total(self) -> float:
        return self.sample + self.verify + self.train + self.other + self.evaluate


@dataclass(frozen=True)
class RunRecord:
    """The contents of a run folder, from which every table of the report is built."""

    folder: Path
    name: str
    steps: tuple[StepRecord, ...]
    scores: tuple[Score, ...]
    seconds: tuple[Seconds, ...]
    warnings: tuple[str, ...] = ()
    num_resumes: int = 0
    ended: bool = False
    plan: Mapping[str, Any] = field(default_factory=dict, repr=False)
    manifest: Mapping[str, Any] = field(default_factory=dict, repr=False)
    spec_text: str = field(default="", repr=False)

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """The phases in the order in which they ran."""
        found: list[Stretch] = []
        for step in self.steps:
            samples = "reward_mean" in step.metrics or "verdict_right" in step.metrics
            if found and found[-1].phase == step.phase:
                found[-1] = Stretch(step.phase, found[-1].first, step.global_step, found[-1].samples or samples)
            else:
                found.append(Stretch(step.phase, step.global_step, step.global_step, samples))
        return tuple(found)


def read_run(folder: Path) -> RunRecord:
    """Reads a run, finished or not.

    Raises UsageError if the folder is not a run folder, Damaged, RunFailed if a score has missing fields.
    """
    if not folder.exists():
        raise UsageError(f"{folder} does not exist", hint="name the folder of a run")
    if not (folder / "events.jsonl").is_file():
        raise UsageError(f"{folder} is not a run folder: it has no events.jsonl", hint="name the folder of a run")
    events = read_run_events(folder).entries
    steps: dict[int, StepRecord] = {}
    taken: dict[int, StepRecord] = {}
    for event in events:
        if event.get("event") == "resume":
            # Steps after the checkpoint are not in the resumed weights.
            steps = {k: s for k, s in steps.items() if k <= event.get("global_step", math.inf)}
        elif event.get("event") == "step":
            step = _step(event)
            steps[step.global_step] = taken[step.global_step] = step
        elif event.get("event") == "repeat":
            steps[event["global_step"]] = taken[event["global_step"]]
    plan = _sealed(folder / "plan.json")
    return RunRecord(
        folder=folder,
        name=str(plan.get("name") or folder.resolve().name),
        steps=tuple(steps[k] for k in sorted(steps)),
        scores=read_scores(folder, events),
        seconds=seconds_of(events),
        warnings=tuple(dict.fromkeys(str(e.get("message", "")) for e in events if e.get("event") == "warning")),
        num_resumes=sum(e.get("event") == "resume" for e in events),
        ended=bool(events) and events[-1].get("event") == "end",
        plan=plan,
        manifest=_sealed(folder / "manifest.json"),
        spec_text=_text(folder / "spec.toml"),
    )


def read_scores(folder: Path, events: Sequence[Mapping[str, Any]]) -> tuple[Score, ...]:
    """The scores of the events, which scores.json repeats. Raises Damaged where the file says anything else, and
    RunFailed for a score with missing fields."""
    file = folder / "scores.json"
    if file.is_file():
        require_known_scores(file, read_array(file), events)
    return tuple(complete_score(row, f"{file}[{index}]") for index, row in enumerate(scores_of(events)))


def complete_score(row: Any, where: str) -> Score:
    """A score from a JSON object with n, interval, seed, decoding, versions, template and token budget.

    Bounds may be null where `interval` is "none", and what earlier versions did not write may be missing. Raises
    RunFailed naming every other field that is missing, empty or not finite: a score without its conditions is not shown.
    """
    present = row if isinstance(row, Mapping) else {}
    missing = [f.name for f in fields(Score) if _is_left_out(present, f)]
    if missing:
        raise RunFailed(
            f"{where}: a score must include {', '.join(missing)}",
            hint="add the missing fields, or score the run again with `prerl-spec eval`",
        )
    return Score.of_row({f.name: present[f.name] for f in fields(Score) if f.name in present})


def seconds_of(events: Sequence[Mapping[str, Any]]) -> tuple[Seconds, ...]:
    """Seconds per phase and part, in the order of the phases."""
    parts: dict[str, dict[str, float]] = {}
    phase_of: dict[int, str] = {}
    for event in events:
        if event.get("event") not in ("step", "repeat", "evaluate"):
            continue
        if event["event"] == "step":
            phase_of[event["global_step"]] = str(event["phase"])
        phase = phase_of[event["global_step"]] if event["event"] == "repeat" else str(event.get("phase", "base"))
        spent = parts.setdefault(phase, dict.fromkeys(_PARTS, 0.0))
        seconds = event.get("seconds", 0.0)
        if event["event"] == "evaluate":
            spent["evaluate"] += float(seconds)
            continue
        named = {part: float(seconds.get(part, 0.0)) for part in ("sample", "verify", "train")}
        for part, value in named.items():
            spent[part] += value
        spent["other"] += max(0.0, float(seconds.get("total", 0.0)) - sum(named.values()))
    return tuple(Seconds(phase, **spent) for phase, spent in parts.items())


_PARTS = ("sample", "verify", "train", "other", "evaluate")


def _step(event: Mapping[str, Any]) -> StepRecord:
    tokens = event.get("tokens", {})
    metrics = event.get("metrics", {})
    return StepRecord(
        phase=str(event["phase"]),
        step=int(event["step"]),
        global_step=int(event["global_step"]),
        updates=int(event.get("updates", 0)),
        applied=int(event.get("applied", 0)),
        metrics={k: float(v) for k, v in metrics.items() if isinstance(v, int | float) and math.isfinite(v)},
        generated_tokens=int(tokens.get("generated", 0)),
        trained_tokens=int(tokens.get("trained", 0)),
        seconds={k: float(v) for k, v in event.get("seconds", {}).items()},
    )


def _is_left_out(row: Mapping[str, Any], of: Field[Any]) -> bool:
    if of.name not in row:
        return of.default is MISSING
    is_bound = of.name in ("low", "high") and row.get("interval") == NO_INTERVAL
    may_be_null = of.default is None or is_bound
    return _is_missing(row[of.name]) and not (may_be_null and row[of.name] is None)


def _is_missing(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    return value is None or value == "" or value == {}


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _sealed(file: Path) -> dict[str, Any]:
    return read_object(file) if file.is_file() else {}
