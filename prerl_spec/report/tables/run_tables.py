"""Reads a run folder into typed tables: steps, phases, scores and times. Opens nothing for writing."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from prerl_spec.errors import RunFailed, UsageError
from prerl_spec.types import Score, StepRecord


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

    @property
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

    Raises UsageError if the folder is not a run folder, RunFailed if a score has missing fields.
    """
    if not (folder / "events.jsonl").is_file():
        raise UsageError(f"{folder} is not a run folder: it has no events.jsonl", hint="name the folder of a run")
    events = list(json_lines(folder / "events.jsonl"))
    steps: dict[int, StepRecord] = {}
    for event in events:
        if event.get("event") == "resume":
            # Steps after the checkpoint are not in the resumed weights.
            steps = {k: s for k, s in steps.items() if k <= event.get("global_step", math.inf)}
        elif event.get("event") == "step":
            step = _step(event)
            steps[step.global_step] = step
    plan = _json_object(folder / "plan.json")
    return RunRecord(
        folder=folder,
        name=str(plan.get("name") or folder.resolve().name),
        steps=tuple(steps[k] for k in sorted(steps)),
        scores=read_scores(folder),
        seconds=seconds_of(events),
        warnings=tuple(dict.fromkeys(str(e.get("message", "")) for e in events if e.get("event") == "warning")),
        num_resumes=sum(e.get("event") == "resume" for e in events),
        ended=bool(events) and events[-1].get("event") == "end",
        plan=plan,
        manifest=_json_object(folder / "manifest.json"),
        spec_text=_text(folder / "spec.toml"),
    )


def read_scores(folder: Path) -> tuple[Score, ...]:
    """The scores of scores.json, empty if there is none yet. Raises RunFailed for a score with missing fields."""
    file = folder / "scores.json"
    if not file.is_file():
        return ()
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunFailed(
            f"{file} is not valid JSON: {error}", hint="score the run again with `prerl-spec eval`"
        ) from error
    if not isinstance(rows, list):
        raise RunFailed(f"{file} is not an array of scores", hint="score the run again with `prerl-spec eval`")
    return tuple(complete_score(row, f"{file}[{index}]") for index, row in enumerate(rows))


def complete_score(row: Any, where: str) -> Score:
    """A score from a JSON object with n, interval, seed, decoding, versions, template and token budget.

    Raises RunFailed naming every field that is missing, empty or not finite: a score without its conditions is not shown.
    """
    present = row if isinstance(row, Mapping) else {}
    missing = [f.name for f in fields(Score) if _is_missing(present.get(f.name))]
    if missing:
        raise RunFailed(
            f"{where}: a score must include {', '.join(missing)}",
            hint="add the missing fields, or score the run again with `prerl-spec eval`",
        )
    return Score(**{f.name: present[f.name] for f in fields(Score)})


def seconds_of(events: Sequence[Mapping[str, Any]]) -> tuple[Seconds, ...]:
    """Seconds per phase and part, in the order of the phases."""
    parts: dict[str, dict[str, float]] = {}
    for event in events:
        if event.get("event") not in ("step", "evaluate"):
            continue
        spent = parts.setdefault(str(event.get("phase", "base")), dict.fromkeys(_PARTS, 0.0))
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


def json_lines(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file. A torn last line (a killed run) is ignored; any other invalid line
    raises RunFailed with its number."""
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                return
            raise RunFailed(f"{file}:{number} is not valid JSON: {error}") from error
        if isinstance(value, dict):
            yield value


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


def _is_missing(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    return value is None or value == "" or value == {}


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _json_object(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunFailed(f"{file} is not valid JSON: {error}") from error
    return value if isinstance(value, dict) else {}
