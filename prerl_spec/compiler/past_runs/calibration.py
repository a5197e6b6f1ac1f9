"""The result of a calibration (`run --profile`), as stored in its folder: seconds, tokens and memory of a few steps.

The folder has no plan.json: it is not a run folder and cannot be resumed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import TypeAdapter, ValidationError

CALIBRATION = "profile.json"
FORMAT = 1


@dataclass(frozen=True)
class PhaseTimes:
    """Timed steps of a phase: seconds by stage ("sample", "verify", "train", "total"), tokens ("generated", "trained")."""

    phase: str
    seconds: tuple[Mapping[str, float], ...]
    tokens: tuple[Mapping[str, int], ...]
    peak_bytes: int

    @property
    def first(self) -> float:
        """Seconds of the first step, which includes one-time costs."""
        return self.seconds[0]["total"]

    @property
    def later(self) -> tuple[Mapping[str, float], ...]:
        """The representative steps: all but the first; the first if it is the only one."""
        return self.seconds[1:] or self.seconds

    @property
    def step(self) -> float:
        """Median seconds of a later step."""
        return median(s["total"] for s in self.later)

    def stage(self, name: str) -> float:
        """Mean seconds of a stage in the later steps; "other" is the total minus the named stages."""
        if name == "other":
            return self.stage("total") - sum(self.stage(s) for s in ("sample", "verify", "train"))
        return sum(s[name] for s in self.later) / len(self.later)

    def tokens_per_second(self, what: str, stage: str) -> float | None:
        """Tokens per second of the stage that generates or trains on them; None if the stage took no time."""
        tokens = self.tokens[len(self.seconds) - len(self.later) :]
        seconds = self.stage(stage) * len(self.later)
        return sum(t[what] for t in tokens) / seconds if seconds > 0 else None


@dataclass(frozen=True)
class EvaluatorTimes:
    """A partial evaluation: seconds `taken`, estimated seconds of a `whole` one, and questions `asked` out of `of`."""

    use: str
    taken: float
    whole: float
    asked: int
    of: int


@dataclass(frozen=True)
class Profile:
    """A calibration of the plan with this digest; `opening` is the time in seconds before the first step."""

    folder: Path
    name: str
    digest: str
    opening: float
    phases: tuple[PhaseTimes, ...]
    evaluators: tuple[EvaluatorTimes, ...]

    def as_json(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """The content of profile.json, including the `pace` of the plan: settings that affect speed but not meaning."""
        found = asdict(self)
        del found["folder"]
        return {"format": FORMAT, **found, "pace": pace(plan)}


def read_profile(folder: Path) -> tuple[Profile, Mapping[str, Any]] | None:
    """A calibration and its pace; None if the folder has no complete one."""
    try:
        found = json.loads((folder / CALIBRATION).read_text(encoding="utf-8"))
        return TypeAdapter(Profile).validate_python({**found, "folder": folder}), found["pace"]
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def pace(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a plan (as JSON) that affect speed alone: processes, strategy, passes, and the samplers' settings."""
    return {
        "distributed": plan["distributed"],
        "phases": {
            p["id"]: [p["tokens_per_pass"], None if p["sampler"] is None else p["sampler"]["settings"]]
            for p in plan["phases"]
        },
    }
