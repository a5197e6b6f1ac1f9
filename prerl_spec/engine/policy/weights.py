"""Saves the policy's weights to a transformers folder, loads them back, and hashes them."""

import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM

from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.sharding import local, on_main, placed_like, whole
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.errors import RunFailed
from prerl_spec.registry.kinds.model import AttachedAdapter, LoadedModel
from prerl_spec.storage.checks import sha256_start

ADAPTER = "adapter"
"""Folder of the adapter beside a merged model."""


class Whole(NamedTuple):
    """The unsharded weights of a checkpoint: the model's under their transformers names, the adapter's under their
    module names. An adapter checkpoint with an empty `model` does not contain the base."""

    model: Mapping[str, torch.Tensor]
    adapter: Mapping[str, torch.Tensor]


def whole_weights(loaded: LoadedModel, ranks: Ranks, *, merged: bool = True) -> Whole:
    """The weights for `save_transformers`, on rank 0 (empty elsewhere); a collective call. With an adapter, `merged`
    includes the merged model."""
    if loaded.adapter is None:
        return Whole(on_main(loaded.module.state_dict(keep_vars=True), ranks), {})
    sums: dict[str, torch.Tensor] = {}
    for name, tensor in adapted_tensors(loaded.adapter, merged=True) if merged else ():
        if ranks.is_main:
            sums[name] = tensor.cpu()
    return Whole(sums, on_main(loaded.adapter.parameters(), ranks))


def save_transformers(loaded: LoadedModel, folder: Path, weights: Whole) -> None:
    """Writes config, safetensors (fp32), generation config and tokenizer: a folder for `from_pretrained`.

    With an adapter: the merged model, and the adapter in `adapter/`; or the adapter alone, which `from_pretrained`
    applies to the base that adapter_config.json names.
    """
    module: Any = loaded.module
    if loaded.adapter is not None:
        loaded.adapter.save(folder / ADAPTER if weights.model else folder, weights.adapter)
    if weights.model:
        module.save_pretrained(folder, state_dict=dict(weights.model))
        # save_pretrained writes the dtype of the frozen base, in which the merged weights would lose small changes.
        config = copy.deepcopy(module.config)
        config.dtype = torch.float32
        config.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)


@torch.no_grad()
def load_transformers(loaded: LoadedModel, folder: Path) -> None:
    """Loads a folder's weights into the policy, in place, bit for bit. Raises RunFailed if names or shapes differ."""
    if loaded.adapter is not None:
        inner = folder / ADAPTER
        saved_adapter = loaded.adapter.read(inner if inner.is_dir() else folder)
        for name, parameter in loaded.adapter.parameters().items():
            parameter.copy_(placed_like(saved_adapter[name], parameter))
        return
    saved = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    own = loaded.module.state_dict()
    try:
        placed = {n: placed_like(t, own[n]) if n in own else t for n, t in saved.state_dict().items()}
        loaded.module.load_state_dict(placed)
    except RuntimeError as error:
        raise RunFailed(
            f"{folder.name} holds the weights of another model: {error}", hint="resume the run that wrote it"
        ) from error


@torch.no_grad()
def whole_tensors(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields every parameter under its name in a transformers checkpoint, tied ones once; a collective call."""
    for name, parameter in module.named_parameters():
        yield name, whole(parameter.detach())


@torch.no_grad()
def adapted_tensors(adapter: AttachedAdapter, *, merged: bool) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields every weight of an adapter's base under its name in a transformers checkpoint, float32, tied ones once;
    with the adapter merged in if `merged`."""
    for name, weight, change in adapter.weights():
        tensor = whole(weight.detach()).float()
        yield name, tensor + change(whole) if merged and change is not None else tensor


@torch.no_grad()
def bits_check(policy: Policy, ranks: Ranks) -> str:
    """64 bits over the bits of the trained weights, as a step's event keeps them; a collective call.

    Of each parameter the sum of its values read as integers: exact, so it depends neither on the order of the sum, nor on
    the device, nor on how the weights are sharded; one pass over memory.
    """
    parts = [_bits(local(parameter.detach())) for _, parameter in policy.parameters()]
    sums = torch.stack(parts) if parts else torch.zeros(0, dtype=torch.int64)
    if policy.is_sharded:
        sums = ranks.sum(sums)
    return sha256_start(sums.cpu().numpy().tobytes())


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    integers = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    return tensor.contiguous().view(integers).sum(dtype=torch.int64)


@torch.no_grad()
def weights_hash(module: torch.nn.Module) -> str:
    """SHA-256 over names, shapes and bytes of all parameters and persistent buffers."""
    return tensors_hash(module.state_dict().items())


def tensors_hash(named: Iterable[tuple[str, torch.Tensor]]) -> str:
    """SHA-256 over names, shapes and bytes."""
    digest = hashlib.sha256()
    for name, tensor in named:
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(whole(tensor.detach()).cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
