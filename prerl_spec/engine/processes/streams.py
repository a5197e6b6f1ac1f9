"""What chance hangs on in training: the names of the seeds of a step, and of the order of an epoch."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from prerl_spec.engine.processes.seeds import named_generator, named_seed


@dataclass(frozen=True)
class Streams:
    """The random streams of a run, `Streams(run.seed, run.streams)`.

    "global": steps are named by their number in the run, and the order of an epoch is the run's. "phase": steps are named by
    their number in the phase, and each phase has orders of its own; runs whose earlier phases differ then draw the same.
    """

    seed: int
    kind: Literal["global", "phase"] = "global"

    def of_step(self, phase: str, step: int, global_step: int) -> "StepStreams":
        return StepStreams(self, phase, step, global_step)


@dataclass(frozen=True)
class StepStreams:
    """The streams of one step: `Streams(17).of_step("refine", 3, 653)`."""

    run: Streams
    phase: str
    step: int
    global_step: int

    def sample(self, refill: int, slot: int, sample: int) -> int:
        """The seed of one response."""
        if self.run.kind == "phase":
            return named_seed(self.run.seed, "phase", self.phase, self.step, refill, slot, sample)
        return named_seed(self.run.seed, self.phase, self.global_step, refill, slot, sample)

    def mixture(self, refill: int) -> np.random.Generator:
        """Draws the data set of each slot."""
        number = self.step if self.run.kind == "phase" else self.global_step
        return named_generator(self.run.seed, "mixture", self.phase, number, refill)

    def order(self, data: str, epoch: int) -> int:
        """The seed of the order of a data set's rows in an epoch."""
        if self.run.kind == "phase":
            return named_seed(self.run.seed, "order", self.phase, data, epoch)
        return named_seed(self.run.seed, "order", data, epoch)

    def dropout(self, update: int) -> int:
        """The number of an update, from 0 in its step, for an adapter's dropout."""
        if self.run.kind == "phase":
            return named_seed(self.run.seed, "dropout", self.phase, self.step, update)
        return named_seed(self.phase, self.global_step, update)
