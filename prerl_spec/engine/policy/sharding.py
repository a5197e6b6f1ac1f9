"""FSDP2: every rank holds a shard of each weight, gradient and moment, and gathers a layer's weights for its use.

Uses torch's `fully_shard`, the same on gloo and NCCL: one group per decoder layer, one for the rest (embeddings, last
norm and head: tied weights stay together). Gathering is a collective call, so every rank must run the same number of
forwards and backwards; `Shards.whole` is for work that is distributed unevenly.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from prerl_spec.engine.policy.decoder_layers import decoder_layers
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.errors import EnvironmentUnmet


def local(tensor: Tensor) -> Tensor:
    """This rank's shard of a sharded tensor; any other tensor as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


class Shards:
    """The sharded weights of one model: `root` is the module around it that callers call."""

    def __init__(
        self, root: nn.Module, model: nn.Module, ranks: Ranks, fsdp: Mapping[str, Any], compute_dtype: torch.dtype
    ) -> None:
        """Shards the weights over all ranks, in place. `fsdp` is the spec's `distributed.fsdp`; `compute_dtype` that of
        forwards.

        Raises EnvironmentUnmet for invalid fsdp settings, and for a model without decoder layers.
        """
        arguments = fsdp_arguments(fsdp, compute_dtype)
        self._frees = arguments.pop("reshard_after_forward", True)
        self._sums_every_pass = arguments.pop("gradients") == "pass"
        mesh = init_device_mesh(ranks.device.type, (ranks.size,))
        layers = decoder_layers(model)
        self._layers = [
            fully_shard(layer, mesh=mesh, reshard_after_forward=self._frees, **arguments) for layer in layers
        ]
        # The backward pass starts with the root's weights: they stay gathered after the forward.
        self._root = fully_shard(root, mesh=mesh, reshard_after_forward=False, **arguments)
        for part in self._parts:
            # The loss includes the global denominator, so gradients are summed; by default FSDP2 would average them.
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
        # The prefetch order is set explicitly: FSDP2 would infer it from earlier forwards, which differ between ranks
        # when they sample.
        for before, part in zip([self._layers[-1], self._root, *self._layers], self._parts, strict=False):
            part.set_modules_to_backward_prefetch([before])
        self._are_whole = False

    @property
    def _parts(self) -> list[FSDPModule]:
        return [self._root, *self._layers]

    def end_with_next_pass(self, ends: bool) -> None:
        """Whether the next backward pass is the update's last one: the others add to this rank's whole gradients, the last
        sums them over ranks and leaves each its shard. Every rank says the same."""
        self._root.set_requires_gradient_sync(ends or self._sums_every_pass)

    def reshard(self) -> None:
        """Frees the weights that a forward without a backward has left gathered."""
        if not self._are_whole:
            for part in self._parts:
                part.reshard()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Gathers every weight once: inside, each rank may run the model any number of times, without gradient.

        Needs memory for the whole weights on every rank. All ranks enter and leave together.
        """
        for layer in self._layers:
            layer.set_reshard_after_forward(False, recurse=False)
        for part in self._parts:
            part.unshard()
        self._are_whole = True
        try:
            yield
        finally:
            self._are_whole = False
            self.reshard()
            for layer in self._layers:
                layer.set_reshard_after_forward(self._frees, recurse=False)


def fsdp_arguments(fsdp: Mapping[str, Any], compute_dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """The spec's `distributed.fsdp` as keyword arguments of `fully_shard`, and `gradients`: "update" or "pass".

    `reshard_after_forward` is true or false; `mp_policy` a table of MixedPrecisionPolicy's settings with dtypes by name
    (`{ param_dtype = "bfloat16", reduce_dtype = "float32" }`), by default this where forwards compute in 16 bit: half the
    traffic of a gather, and no cast of a weight at its use. Raises EnvironmentUnmet for anything else.
    """
    known = ("gradients", "mp_policy", "reshard_after_forward")
    if unknown := sorted(set(fsdp) - set(known)):
        raise _refused(unknown[0], f"is not supported; {', '.join(known[:-1])} and {known[-1]} are")
    found: dict[str, Any] = {"gradients": fsdp.get("gradients", "update")}
    if found["gradients"] not in ("update", "pass"):
        raise _refused("gradients", f'is {found["gradients"]!r}; write "update" or "pass"')
    if compute_dtype != torch.float32:
        # Gradients are summed in float32: over many ranks and passes 16-bit sums would lose small terms.
        found["mp_policy"] = MixedPrecisionPolicy(param_dtype=compute_dtype, reduce_dtype=torch.float32)
    if "reshard_after_forward" in fsdp:
        if not isinstance(fsdp["reshard_after_forward"], bool):
            raise _refused("reshard_after_forward", f"is {fsdp['reshard_after_forward']!r}; write true or false")
        found["reshard_after_forward"] = fsdp["reshard_after_forward"]
    if "mp_policy" in fsdp:
        found["mp_policy"] = _mixed_precision(fsdp["mp_policy"])
    return found


def _mixed_precision(table: Any) -> MixedPrecisionPolicy:
    if not isinstance(table, Mapping):
        raise _refused("mp_policy", f"is {table!r}; write a table")
    settings: dict[str, Any] = {}
    for key, value in table.items():
        if key not in signature(MixedPrecisionPolicy).parameters:
            raise _refused(f"mp_policy.{key}", "is not a setting of torch's MixedPrecisionPolicy")
        settings[key] = getattr(torch, value, None) if isinstance(value, str) else value
        if not isinstance(settings[key], bool if key == "cast_forward_inputs" else torch.dtype):
            raise _refused(f"mp_policy.{key}", f"is {value!r}; write a dtype name (cast_forward_inputs: true or false)")
    return MixedPrecisionPolicy(**settings)


def _refused(key: str, why: str) -> EnvironmentUnmet:
    return EnvironmentUnmet(f"distributed.fsdp.{key} {why}", hint="see `fully_shard` in torch's documentation")


def is_sharded(tensor: Tensor) -> bool:
    return isinstance(tensor, DTensor)


def mine(tensor: Tensor) -> Tensor:
    """This rank's shard of a tensor, without a copy; the whole tensor if it is not sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """The whole tensor; a collective call if it is sharded."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def placed_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, equal on every rank, moved to the device of `like` and sharded like it, without communication."""
    if not isinstance(like, DTensor) or isinstance(tensor, DTensor):
        return tensor.to(like.device)
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def on_main(tensors: Mapping[str, Tensor], ranks: Ranks) -> dict[str, Tensor]:
    """The whole tensors on rank 0, sharded ones gathered one at a time into host memory; an empty dict on other ranks.
    A tensor under several names (tied weights) is gathered once."""
    found: dict[str, Tensor] = {}
    gathered: dict[int, Tensor] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, DTensor):
            found[name] = tensor
            continue
        if id(tensor) not in gathered:
            full = whole(tensor.detach())
            gathered[id(tensor)] = full.cpu() if ranks.is_main else full.new_empty(0)
        found[name] = gathered[id(tensor)]
    return found if ranks.is_main else {}
