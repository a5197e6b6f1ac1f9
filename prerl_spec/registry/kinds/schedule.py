"""Schedules and optimizers: when a phase ends, and how weights are updated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, Protocol

from prerl_spec.registry.kinds.declared import Declared
from prerl_spec.types import StepRecord

if TYPE_CHECKING:
    import torch


class Schedule(Declared, Protocol):
    @property
    def optimizer(self) -> Literal["carry", "reset"] | None: ...
    @property
    def lr_schedule(self) -> Literal["restart", "carry"]: ...
    @property
    def reference(self) -> Literal["resync", "keep"]: ...
    @property
    def data(self) -> Literal["carry", "restart"]: ...
    @property
    def max_steps(self) -> int | None:
        """Maximum number of steps; None if it is known only during the run (a token budget)."""
        ...

    def initial(self) -> Mapping[str, float]:
        """The state before the first step, as JSON numbers."""
        ...

    def after(self, record: StepRecord, state: Mapping[str, float]) -> tuple[Mapping[str, float], bool]:
        """A pure fold, called once per step: the new state, and whether the phase ends."""
        ...


class Optimizer(Declared, Protocol):
    @property
    def lr(self) -> float: ...
    @property
    def max_grad_norm(self) -> float: ...
    def build(self, named_parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> list[torch.optim.Optimizer]:
        """One or several torch optimizers that partition the parameters."""
        ...

    def lr_factor(self, step: int, num_steps: int | None) -> float:
        """Factor on every parameter group's initial lr during step `step` (from 0) of `num_steps`."""
        ...
