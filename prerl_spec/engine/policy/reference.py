"""The reference model of the KL terms: a frozen earlier version of the policy, until a phase end resyncs it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch
from torch import Tensor

from prerl_spec.compiler.graph import Phase
from prerl_spec.compiler.objective_needs import reads_from
from prerl_spec.engine.policy.forward import Scoring
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.sharding import placed_like
from prerl_spec.registry.kinds.model import AttachedAdapter


class Reference(Protocol):
    """A frozen version of the policy, taken when this object is created."""

    def scoring(self) -> AbstractContextManager[Scoring]:
        """A context manager that yields a scorer with the reference weights, for forwards without gradient."""
        ...

    def resync(self) -> None:
        """Sets the reference weights to the policy's current weights."""
        ...

    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors to checkpoint, tied weights once; empty if the reference is the frozen base model."""
        ...

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores the `tensors()` of an earlier process; a no-op if they are empty."""
        ...


class CopiedModel:
    """A reference that is a second copy of the whole model."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._copy = policy.frozen_copy()

    @contextmanager
    def scoring(self) -> Iterator[Scoring]:
        yield self._copy

    def resync(self) -> None:
        self._copy.model.load_state_dict(self._policy.module.state_dict())

    def tensors(self) -> Mapping[str, Tensor]:
        # Parameters, not the state dict: that lists tied weights twice, and a file may hold them once only.
        return dict(self._copy.model.named_parameters())

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        for name, parameter in self._copy.model.named_parameters() if tensors else ():
            parameter.copy_(placed_like(tensors[name], parameter))


class FrozenAdapter:
    """A reference of base model and frozen adapter: off until the first resync, since a new adapter adds zero.

    It runs in the policy's own module: a second copy of the base would hold the same weights.
    """

    def __init__(self, policy: Policy, adapter: AttachedAdapter) -> None:
        self._policy = policy
        self._adapter = adapter
        self._frozen: dict[str, Tensor] = {}

    @contextmanager
    def scoring(self) -> Iterator[Scoring]:
        if not self._frozen:
            with self._adapter.off():
                yield self._policy.scoring
            return
        trained = self._values()
        self._put(self._frozen)
        try:
            yield self._policy.scoring
        finally:
            self._put(trained)

    def resync(self) -> None:
        self._frozen = self._values()

    def tensors(self) -> Mapping[str, Tensor]:
        return self._frozen

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        parameters = self._adapter.parameters()
        self._frozen = {name: placed_like(value, parameters[name]) for name, value in tensors.items()}

    def _values(self) -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self._adapter.parameters().items()}

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self._adapter.parameters().items():
            parameter.copy_(values[name])


def compares_with_reference(phases: Iterable[Phase]) -> bool:
    """Whether a term of these phases reads reference log-probabilities."""
    return any(reads_from(phase.objective.component, "reference") for phase in phases)


def reference_of(policy: Policy) -> Reference:
    """A reference equal to the current policy; call before its weights are sharded. With an adapter the reference is
    the base model, which equals the policy until the first update."""
    adapter = policy.loaded.adapter
    return CopiedModel(policy) if adapter is None else FrozenAdapter(policy, adapter)
