"""Our numbers beside the peers', and how far apart they are."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.components.agreement.ours import Ours, Part
from tests.components.agreement.stored_steps import FOLDER, run, stored

TOLERANCE = 1e-5
"""In float32: losses, gradients and advantages here are of size 1 and below."""


@dataclass(frozen=True)
class Difference:
    """The largest absolute difference of a case over some batches, by what is compared."""

    largest: Mapping[Part, float]

    @property
    def agrees(self) -> bool:
        return bool(self.largest) and max(self.largest.values()) <= TOLERANCE


@cache
def peers() -> Mapping[str, Any]:
    """peers.json: "peers" with their versions and source hashes, and "records"."""
    found: dict[str, Any] = json.loads((FOLDER / "peers.json").read_text(encoding="utf-8"))
    return found


@cache
def records() -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The peers' records by case, in their order."""
    by_case: dict[str, list[Mapping[str, Any]]] = {}
    for record in peers()["records"]:
        by_case.setdefault(record["case"], []).append(record)
    return by_case


def differences(case: str, ours: Ours) -> tuple[Difference | None, Difference | None]:
    """Over the batches where the case is said to agree, and over those where it is said to differ; None without any."""
    found: dict[bool, dict[Part, float]] = {}
    for record in records()[case]:
        largest = found.setdefault(ours.differs_on(record["batch"]), {})
        for part, value in _of_record(ours, record).items():
            largest[part] = max(value, largest.get(part, 0.0))
    return (Difference(found[False]) if False in found else None, Difference(found[True]) if True in found else None)


def _of_record(ours: Ours, record: Mapping[str, Any]) -> Mapping[Part, float]:
    result = run(ours.objective, stored(record["batch"], ours.rewards), ours.updates)
    found: dict[Part, float] = {"advantage": _apart(result.advantage_S, record["advantage_S"])}
    if "loss" in record:
        found["loss"] = _apart([result.loss], [record["loss"]])
        found["gradient"] = _apart(result.gradient_N, record["gradient_N"])
        if "entropy_gradient_N" in record:
            found["gradient"] = max(found["gradient"], _apart(result.entropy_gradient_N, record["entropy_gradient_N"]))
        else:
            assert not result.entropy_gradient_N.any()
    return {part: found[part] for part in ours.compared if part in found}


def _apart(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> float:
    return float(np.abs(np.asarray(ours) - np.asarray(theirs)).max())
