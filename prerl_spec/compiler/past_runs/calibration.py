"""What a calibration (`run --profile`) found, as it lies in its folder: seconds, tokens and memory of a few steps.

The folder holds no plan.json: it is no run, nothing goes on in it, and nothing is taken for one.
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
        """Seconds of the first step, which pays for what is done once."""
        return self.seconds[0]["total"]

    @property
    def later(self) -> tuple[Mapping[str, float], ...]:
        """The steps that stand for all others: all but the first, where there are others."""
        return self.seconds[1:] or self.seconds

    @property
    def step(self) -> float:
        """Seconds of a step."""
        return median(s["total"] for s in self.later)

    def stage(self, name: str) -> float:
        """Mean seconds of a stage in the later steps; "other" is what the stages leave of the total."""
        if name == "other":
            return self.stage("total") - sum(self.stage(s) for s in ("sample", "verify", "train"))
        return sum(s[name] for s in self.later) / len(self.later)

    def tokens_per_second(self, what: str, stage: str) -> float | None:
        """Tokens over the seconds of the stage that makes or uses them; None where it took none."""
        tokens = self.tokens[len(self.seconds) - len(self.later) :]
        seconds = self.stage(stage) * len(self.later)
        return sum(t[what] for t in tokens) / seconds if seconds > 0 else None


@dataclass(frozen=True)
class EvaluatorTimes:
    """A small round: the seconds that it took, those that a whole one would take, and which part of it was asked."""

    use: str
    taken: float
    whole: float
    asked: int
    of: int


@dataclass(frozen=True)
class Profile:
    """A calibration: of which meaning, and what it found; `opening` is the time until the first step could begin."""

    folder: Path
    name: str
    digest: str
    opening: float
    phases: tuple[PhaseTimes, ...]
    evaluators: tuple[EvaluatorTimes, ...]

    def as_json(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """As it is written, with what of the plan decides how fast it runs but not what it means."""
        found = asdict(self)
        del found["folder"]
        return {"format": FORMAT, **found, "pace": pace(plan)}


def read_profile(folder: Path) -> tuple[Profile, Mapping[str, Any]] | None:
    """A calibration and its pace; None where the folder holds none that is whole."""
    try:
        found = json.loads((folder / CALIBRATION).read_text(encoding="utf-8"))
        return TypeAdapter(Profile).validate_python({**found, "folder": folder}), found["pace"]
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def pace(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What a plan (as JSON) says of speed alone: processes, strategy, passes, and what samplers hand to their engines."""
    return {
        "distributed": plan["distributed"],
        "phases": {
            p["id"]: [p["tokens_per_pass"], None if p["sampler"] is None else p["sampler"]["settings"]]
            for p in plan["phases"]
        },
    }
