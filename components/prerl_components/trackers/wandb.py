"""Weights & Biases, offline by default."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field

from prerl_spec.sdk import Component, Prerequisite

if TYPE_CHECKING:
    from accelerate.tracking import WandBTracker


class Wandb(Component):
    """Step metrics and scores as a Weights & Biases run; offline runs stay in the run folder until `wandb sync`."""

    kind = "tracker"

    project: str = Field("prerl-spec", min_length=1, description="project of the run")
    mode: Literal["offline", "online"] = Field(
        "offline", description="offline: write to the run folder; online: upload during the run"
    )

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        return (Prerequisite("package", "wandb>=0.18", "pip install 'prerl-spec[wandb]'"),)

    def for_trial(self, folder: Path) -> Self | str:
        return self if self.mode == "offline" else "it uploads to a server"

    def accelerate_tracker(self, run_name: str, folder: Path) -> WandBTracker:
        """Writes into `folder/wandb`."""
        from accelerate.tracking import WandBTracker

        # wandb falls back to the system's temporary directory if its own does not exist yet.
        folder.mkdir(parents=True, exist_ok=True)
        return WandBTracker(self.project, name=run_name, dir=str(folder), mode=self.mode)
