"""Logs metrics to the trackers that the spec names, through Accelerate."""

from collections.abc import Sequence
from pathlib import Path

from accelerate import Accelerator

from prerl_spec.compiler.graph import Named
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.registry.kinds.watching import Tracker
from prerl_spec.types import Score, StepRecord


class Trackers:
    """The started trackers of a run; does nothing if the spec names none."""

    def __init__(self, trackers: Sequence[Named[Tracker]], folder: Path, run_name: str) -> None:
        self._accelerator: Accelerator | None = None
        built = [named.component.accelerate_tracker(run_name, folder / "trackers") for named in trackers]
        if built:
            # A second Accelerator over the same processes: it accepts trackers at construction only.
            self._accelerator = Accelerator(log_with=built)
            try:
                self._accelerator.init_trackers(run_name)
            except Exception as error:  # third-party services: not logged in, not reachable, not permitted
                cause = f"{type(error).__name__}: {str(error).strip()}"
                uses = ", ".join(named.use for named in trackers)
                raise EnvironmentUnmet(
                    f"a tracker cannot start ({uses}): {cause}",
                    hint="fix the cause, or remove the tracker from the spec",
                ) from error

    def log_step(self, record: StepRecord) -> None:
        if self._accelerator is not None:
            self._accelerator.log(
                {f"{record.phase}/{k}": v for k, v in record.metrics.items()}, step=record.global_step
            )

    def log_scores(self, scores: Sequence[Score]) -> None:
        if self._accelerator is not None and scores:
            values = {f"score/{s.task}/{s.metric}": s.value for s in scores}
            self._accelerator.log(values, step=scores[0].global_step)

    def close(self) -> None:
        """Finishes the trackers. Accelerate's `end_training` would also end the process group, which the run still needs."""
        if self._accelerator is not None:
            for tracker in self._accelerator.trackers:
                tracker.finish()
