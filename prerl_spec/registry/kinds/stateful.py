"""Components that remember: a few numbers carried from step to step, part of every checkpoint."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from prerl_spec.needs import Batch, State
from prerl_spec.types import StepRecord


@runtime_checkable
class Stateful(Protocol):
    """An objective, or an advantage or a selection in one of its slots, with a state: a pure fold, like a schedule.

    The state begins as `initial()` at its phase's start, is read as `batch.state` while the step's credit is computed, and
    becomes `after(...)` once the step has been trained. It holds finite numbers, or tuples of them, by name.
    """

    def initial(self) -> State:
        """The state before the phase's first step."""
        ...

    def after(self, batch: Batch, record: StepRecord, state: State) -> State:
        """The state after a step. Pure: called once a step, on every rank, with the same arguments.

        `batch` is the one that the credit was computed from: `known` holds the component's `reads()`, as before the first
        update. Do not use `record.seconds`: a resumed run would not repeat them.
        """
        ...
