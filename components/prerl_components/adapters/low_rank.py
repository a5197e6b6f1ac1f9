"""Injects peft's low-rank layers into a transformers model without changing its class, `base_model` or output head."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, TaskType, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from prerl_components.models.seeded import private_random
from prerl_spec.sdk import AdaptedWeight, Code, Diagnostic, SpecInvalid

NAME = "default"
"""peft's name for a model's only adapter."""

IN_FILES = "base_model.model."
"""Prefix of every name in adapter_model.safetensors: peft saves from a model that it wraps twice."""

LINEAR = (nn.Linear, Conv1D)

# peft types alpha as an integer, which the method does not require.
LORA_CONFIG: Any = LoraConfig


class LowRank:
    """`registry.kinds.AttachedAdapter`: W + (alpha/rank)·B·A in every target of the module, W frozen."""

    def __init__(
        self,
        module: nn.Module,
        *,
        rank: int,
        alpha: float,
        targets: str | tuple[str, ...],
        dropout: float,
        merge: bool,
        base: str,
        revision: str | None,
        seed: int,
    ) -> None:
        """`targets` are names of linear layers, or peft's "all-linear". Raises SpecInvalid for an unknown name."""
        layers = linear_layers(module)
        check_targets(targets, layers)
        self.merge = merge
        self._module = module
        self._config: Any = LORA_CONFIG(
            task_type=TaskType.CAUSAL_LM,
            base_model_name_or_path=base,
            revision=revision,
            r=rank,
            lora_alpha=alpha,
            lora_dropout=dropout,
            target_modules=targets if isinstance(targets, str) else list(targets),
            fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in layers.values()),
        )
        with private_random(seed):
            inject_adapter_in_model(self._config, module, NAME)
            self._layers: dict[str, Any] = {n: m for n, m in module.named_modules() if isinstance(m, LoraLayer)}
            for layer in self._layers.values():
                # peft creates A and B in the base's dtype; trained weights and A's initial bits are float32.
                layer.lora_A[NAME].float()
                layer.lora_B[NAME].float()
                layer.reset_lora_parameters(NAME, True)
                layer.lora_dropout[NAME] = ChannelDropout()
        self._dropout = dropout
        self._seed = seed

    def parameters(self) -> dict[str, nn.Parameter]:
        """A and B of every layer, by parameter name in the module."""
        return {n: p for n, p in self._module.named_parameters() if f".{NAME}." in n}

    @contextmanager
    def off(self) -> Iterator[None]:
        """Disables the adapter inside the context. Backward passes of earlier forwards must have finished."""
        for layer in self._layers.values():
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in self._layers.values():
                layer.enable_adapters(True)

    @contextmanager
    def dropping(self, update: int) -> Iterator[None]:
        """Inside the context, each layer's A sees its input with a fraction `dropout` of the channels zeroed and the rest
        scaled by 1/(1 − dropout); the mask is a function of the run's seed and `update`."""
        if not self._dropout:
            yield
            return
        seed = hashlib.sha256(f"{self._seed} {update}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(seed[:7], "big"))
        for layer in self._layers.values():
            kept = torch.rand(layer.in_features, generator=generator) >= self._dropout
            layer.lora_dropout[NAME].scale_d = (kept / (1 - self._dropout)).to(layer.lora_A[NAME].weight.device)
        try:
            yield
        finally:
            for layer in self._layers.values():
                layer.lora_dropout[NAME].scale_d = None

    def weights(self) -> Iterator[AdaptedWeight]:
        """Every weight of the base model under its name in the model without an adapter, tied weights once."""
        own = {id(p) for p in self.parameters().values()}
        for name, parameter in self._module.named_parameters():
            if id(parameter) not in own:
                layer_name, _, leaf = name.rpartition(".base_layer.")
                layer = self._layers.get(layer_name) if leaf == "weight" else None
                yield AdaptedWeight(
                    name.replace(".base_layer.", "."), parameter, None if layer is None else partial(update, layer)
                )

    def save(self, folder: Path, tensors: Mapping[str, Tensor]) -> None:
        """Writes adapter_config.json and adapter_model.safetensors, loadable by peft's and transformers' from_pretrained;
        `tensors` are the unsharded values of `parameters()`."""
        folder.mkdir(parents=True, exist_ok=True)
        config = self._config.to_dict()
        # peft keeps the names as a set, whose order differs between processes.
        config = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()} | {"inference_mode": True}
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
        in_file = {in_files(name): value.detach().cpu().contiguous() for name, value in tensors.items()}
        save_file(in_file, folder / "adapter_model.safetensors", metadata={"format": "pt"})

    def read(self, folder: Path) -> dict[str, Tensor]:
        """Reads the tensors of an adapter written by `save`, by parameter name in the module."""
        saved = load_file(folder / "adapter_model.safetensors")
        return {name: saved[in_files(name)] for name in self.parameters()}


class ChannelDropout(nn.Module):
    """x ⊙ m with one mask m for all tokens of an update (arXiv:1512.05287 shares it over the steps of a sequence), so that
    splitting an update into passes or over ranks, and recomputation in the backward pass, all see the same mask."""

    def __init__(self) -> None:
        super().__init__()
        self.scale_d: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        return x if self.scale_d is None else x * self.scale_d


def update(layer: Any, whole: Callable[[Tensor], Tensor]) -> Tensor:
    """(alpha/rank)·B·A in float32, with the shape of the layer's weight."""
    a_rd, b_or = (whole(side[NAME].weight.detach()).float() for side in (layer.lora_A, layer.lora_B))
    change: Tensor = layer.scaling[NAME] * (b_or @ a_rd)
    return change.T if layer.fan_in_fan_out else change


def in_files(name: str) -> str:
    """The name of a parameter in adapter_model.safetensors."""
    return IN_FILES + name.replace(f".{NAME}.", ".")


def linear_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Every linear layer by name except the output head, which cannot change alone when tied to the embeddings."""
    untyped: Any = module
    head = untyped.get_output_embeddings()
    return {n: m for n, m in module.named_modules() if isinstance(m, LINEAR) and m is not head}


def check_targets(targets: str | tuple[str, ...], layers: Mapping[str, nn.Module]) -> None:
    """Raises SpecInvalid for each target that is neither the name of a linear layer nor a suffix of one, and lists the
    existing names. peft itself reports nothing as long as one target matches."""
    if isinstance(targets, str):
        return
    names = sorted({name.rpartition(".")[2] for name in layers})
    mistakes = []
    for index, target in enumerate(targets):
        if not any(name == target or name.endswith(f".{target}") for name in layers):
            nearest = next(iter(get_close_matches(target, names, n=1, cutoff=0.6)), None)
            mistakes.append(
                Diagnostic(
                    Code.NOT_A_CHOICE,
                    f"model.adapter.targets: no linear layer of the model is named `{target}`",
                    path=f"model.adapter.targets[{index}]",
                    help=f"did you mean `{nearest}`?" if nearest else None,
                    notes=(f"the linear layers are {', '.join(names)}; the output head cannot be adapted",),
                )
            )
    if mistakes:
        raise SpecInvalid(mistakes)


def absorb(module: nn.Module) -> None:
    """Merges an adapter loaded with a checkpoint into the weights, in place, leaving a plain model."""
    layers: list[tuple[str, Any]] = [(n, m) for n, m in module.named_modules() if isinstance(m, LoraLayer)]
    for name, layer in layers:
        layer.merge()
        module.set_submodule(name, layer.get_base_layer())
    untyped: Any = module
    untyped._hf_peft_config_loaded = False
    module.requires_grad_(True)
