"""The reference model that `kl` compares with: frozen weights of an earlier moment, until a phase's end resyncs them."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from typing import Any, Protocol

import torch
from torch import Tensor


class Reference(Protocol):
    """Weights that stay while the policy moves. Made from the policy as it is at that moment."""

    def model(self) -> AbstractContextManager[Any]:
        """A context manager: inside it, what it gives runs with the reference's weights. Forwards without gradient only."""
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

    def __init__(self, policy: torch.nn.Module) -> None:
        self._policy = policy
        self._copy = deepcopy(policy).requires_grad_(False)

    @contextmanager
    def model(self) -> Iterator[torch.nn.Module]:
        yield self._copy

    def resync(self) -> None:
        self._copy.load_state_dict(self._policy.state_dict())

    def tensors(self) -> Mapping[str, Tensor]:
        # Parameters, not the state: tied weights stand there twice, and a file takes them once.
        return dict(self._copy.named_parameters())

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        for name, parameter in self._copy.named_parameters() if tensors else ():
            parameter.copy_(tensors[name])


def reference_of(policy: torch.nn.Module) -> Reference:
    """The policy as it is now."""
    return CopiedModel(policy)
