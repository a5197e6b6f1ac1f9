"""The policy's weights outside the loop: to a transformers folder and back, and their hash."""

import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM

from prerl_spec.engine.policy.sharding import on_main, placed_like, whole
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.errors import RunFailed
from prerl_spec.registry.kinds import AttachedAdapter, LoadedModel

ADAPTER = "adapter"
"""Folder of the adapter beside a merged model."""


class Whole(NamedTuple):
    """The weights of a checkpoint, none of them in shards: the model's under the names of transformers, and the adapter's
    under those of the module. Where there is an adapter and no model, the base is not written."""

    model: Mapping[str, torch.Tensor]
    adapter: Mapping[str, torch.Tensor]


def whole_weights(loaded: LoadedModel, ranks: Ranks, *, merged: bool = True) -> Whole:
    """What `save_transformers` writes, on rank 0 (elsewhere nothing); a collective call. `merged`: with the sum of base and
    adapter, where there is one."""
    if loaded.adapter is None:
        return Whole(on_main(loaded.module.state_dict(keep_vars=True), ranks), {})
    sums: dict[str, torch.Tensor] = {}
    for name, tensor in adapted_tensors(loaded.adapter, merged=True) if merged else ():
        if ranks.is_main:
            sums[name] = tensor.cpu()
    return Whole(sums, on_main(loaded.adapter.parameters(), ranks))


def save_transformers(loaded: LoadedModel, folder: Path, weights: Whole) -> None:
    """Config, safetensors (fp32), generation config and tokenizer: what `from_pretrained` wants.

    Of a model with an adapter: the sum of both, and the adapter in `adapter/`; or the adapter alone, which `from_pretrained`
    puts on the base that adapter_config.json names.
    """
    module: Any = loaded.module
    if loaded.adapter is not None:
        loaded.adapter.save(folder / ADAPTER if weights.model else folder, weights.adapter)
    if weights.model:
        module.save_pretrained(folder, state_dict=dict(weights.model))
        # save_pretrained writes the dtype of a frozen base, in which a sum of both would lose what is small.
        config = copy.deepcopy(module.config)
        config.dtype = torch.float32
        config.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)


@torch.no_grad()
def load_transformers(loaded: LoadedModel, folder: Path) -> None:
    """Puts a folder's weights into the policy, in place, bit for bit. Raises RunFailed where the parts differ."""
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
        raise RunFailed(f"{folder.name} holds another model: {error}", hint="resume the run that wrote it") from error


@torch.no_grad()
def whole_tensors(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Every parameter under its name in a transformers checkpoint, tied ones once; a collective call."""
    for name, parameter in module.named_parameters():
        yield name, whole(parameter.detach())


@torch.no_grad()
def adapted_tensors(adapter: AttachedAdapter, *, merged: bool) -> Iterator[tuple[str, torch.Tensor]]:
    """Every weight of an adapter's base under its name in a transformers checkpoint, float32, tied ones once; with what
    the adapter adds where `merged`."""
    for name, weight, change in adapter.weights():
        tensor = whole(weight.detach()).float()
        yield name, tensor + change(whole) if merged and change is not None else tensor


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
