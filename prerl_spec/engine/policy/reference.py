"""The reference model that `kl` compares with: frozen weights of an earlier moment, until a phase's end resyncs them."""

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
from prerl_spec.registry.kinds import AttachedAdapter


class Reference(Protocol):
    """Weights that stay while the policy moves. Made from the policy as it is at that moment."""

    def scoring(self) -> AbstractContextManager[Scoring]:
        """A context manager: inside it, what it gives scores with the reference's weights. Forwards without gradient only."""
        ...

    def resync(self) -> None:
        """Its weights become those of the policy as it is now."""
        ...

    def tensors(self) -> Mapping[str, Tensor]:
        """What a checkpoint keeps of it, tied weights once; empty where the model as given says all."""
        ...

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over the `tensors()` of an earlier process; nothing is left to do where they are empty."""
        ...


class CopiedModel:
    """A second copy of the whole model."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._copy = policy.frozen_copy()

    @contextmanager
    def scoring(self) -> Iterator[Scoring]:
        yield self._copy

    def resync(self) -> None:
        self._copy.model.load_state_dict(self._policy.module.state_dict())

    def tensors(self) -> Mapping[str, Tensor]:
        # Parameters, not the state: tied weights stand there twice, and a file takes them once.
        return dict(self._copy.model.named_parameters())

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        for name, parameter in self._copy.model.named_parameters() if tensors else ():
            parameter.copy_(placed_like(tensors[name], parameter))


class FrozenAdapter:
    """The base with the adapter as it was: off as long as nothing else was said, since an adapter begins by adding nothing.

    The policy's own module runs it; a second copy of the base would be the same bits.
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
    """Whether a term of these phases compares with a reference."""
    return any(reads_from(phase.objective.component, "reference") for phase in phases)


def reference_of(policy: Policy) -> Reference:
    """The policy as it is now, before its weights are sharded; of one with an adapter the base, which is the same until the
    first update."""
    adapter = policy.loaded.adapter
    return CopiedModel(policy) if adapter is None else FrozenAdapter(policy, adapter)
