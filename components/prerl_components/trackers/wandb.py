"""Weights & Biases, offline unless asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field

from prerl_spec.sdk import Component, Prerequisite

if TYPE_CHECKING:
    from accelerate.tracking import WandBTracker


class Wandb(Component):
    """Step metrics and scores as a Weights & Biases run; offline runs lie in the run folder until `wandb sync`."""

    kind = "tracker"

    project: str = Field("prerl-spec", min_length=1, description="the project that the run belongs to")
    mode: Literal["offline", "online"] = Field("offline", description="online sends while the run goes on")

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        return (Prerequisite("package", "wandb>=0.18", "pip install 'prerl-spec[wandb]'"),)

    def for_trial(self, folder: Path) -> Self | str:
        return self if self.mode == "offline" else "it sends to a server"

    def accelerate_tracker(self, run_name: str, folder: Path) -> WandBTracker:
        """Writes into `folder/wandb`."""
        from accelerate.tracking import WandBTracker

        # wandb falls back to the system's temporary directory where its own is not there yet.
        folder.mkdir(parents=True, exist_ok=True)
        return WandBTracker(self.project, name=run_name, dir=str(folder), mode=self.mode)
