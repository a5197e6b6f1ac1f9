"""The decoder layers of a transformers model: the unit of weight sharding and of activation recomputation."""

from contextlib import nullcontext
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from prerl_spec.engine.policy.flat_attention import same_row_of
from prerl_spec.errors import EnvironmentUnmet


def decoder_layers(module: nn.Module) -> list[nn.Module]:
    """The layers that transformers marks for gradient checkpointing, outermost ones only, in the model's order.

    Raises EnvironmentUnmet for a model without such layers.
    """
    found: list[nn.Module] = []
    inside: set[nn.Module] = set()
    for part in module.modules():
        if isinstance(part, GradientCheckpointingLayer) and part not in inside:
            found.append(part)
            inside.update(part.modules())
    if not found:
        raise EnvironmentUnmet(
            f"{type(module).__name__} has no decoder layers of transformers' class GradientCheckpointingLayer",
            hint='set strategy = "ddp" and activation_checkpointing = false for this model',
        )
    return found


def recompute_activations(module: nn.Module) -> None:
    """Makes every decoder layer keep only its input and recompute its activations in the backward pass.

    transformers' own switch works in training mode only, where dropout would be on; here the model stays in evaluation
    mode, so the second forward equals the first bit for bit.
    """
    for layer in decoder_layers(module):
        # A bound method, not a closure: a deep copy of the model then binds it to the copy's own layer.
        layer.forward = MethodType(_recomputed, layer)


def _recomputed(layer: nn.Module, *arguments: Any, **named: Any) -> Any:
    forward = partial(type(layer).forward, layer)
    if not torch.is_grad_enabled():
        return forward(*arguments, **named)
    # The second forward comes with the backward pass, when the model's own attention is chosen again.
    again = same_row_of(layer)
    return checkpoint(
        forward,
        *arguments,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (nullcontext(), again),
        **named,
    )
