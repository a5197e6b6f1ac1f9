"""TensorBoard files in the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prerl_spec.sdk import Component, Prerequisite

if TYPE_CHECKING:
    from accelerate.tracking import TensorBoardTracker


class Tensorboard(Component):
    """Step metrics and scores as TensorBoard scalars."""

    kind = "tracker"

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        return (Prerequisite("package", "tensorboard>=2.16.2", "pip install 'prerl-spec[train]'"),)

    def accelerate_tracker(self, run_name: str, folder: Path) -> TensorBoardTracker:
        """Writes event files into `folder/run_name`."""
        from accelerate.tracking import TensorBoardTracker

        return TensorBoardTracker(run_name, logging_dir=str(folder))
