"""Probes and trackers: what is measured, and where metrics are sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from prerl_spec.registry.kinds.declared import Declared
from prerl_spec.types import Step

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker


class Probe(Declared, Protocol):
    @property
    def every(self) -> int: ...
    def measure(self, step: Step) -> Mapping[str, float]:
        """Metrics of a verified step, before it is trained on."""
        ...


class Tracker(Declared, Protocol):
    def accelerate_tracker(self, run_name: str, folder: Path) -> GeneralTracker:
        """An Accelerate tracker that is not yet started; all its files are written below `folder`."""
        ...
