"""torch's Muon with the Newton–Schulz iterations of equal shapes in one batch: the same update in fewer, larger products."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

BATCH_ELEMENTS = 1 << 18
"""Entries of the matrices of a batch at most: products of larger ones gain nothing from being batched, and lose on a CPU."""


class BatchedMuon(torch.optim.Muon):
    """Settings and state are those of torch's Muon. Sharded weights take its own step, matrix by matrix."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        if closure is not None or any(isinstance(p, DTensor) for group in self.param_groups for p in group["params"]):
            whole: Any = super().step
            return whole(closure)
        for group in self.param_groups:
            trained = [p for p in group["params"] if p.grad is not None]
            for parameters in _of_equal_shape(trained):
                self._step(parameters, group)
        return None

    def _step(self, parameters: Sequence[torch.nn.Parameter], group: dict[str, Any]) -> None:
        """B ← lerp(B, g, 1 − μ), u = lerp(g, B, μ); θ ← (1 − η·λ)·θ − η·√max(1, rows/columns)·NS(u)."""
        gradients: list[Any] = [p.grad for p in parameters]
        for parameter in parameters:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        buffers = [self.state[p]["momentum_buffer"] for p in parameters]
        momentum, lr = group["momentum"], group["lr"]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        updates = torch._foreach_lerp(gradients, buffers, momentum)
        stacked = updates[0] if len(updates) == 1 else torch.stack(updates)
        found = orthogonalised(stacked, group["ns_coefficients"], group["ns_steps"], group["eps"])
        directions = [found] if found.ndim == 2 else found.unbind()
        rows, columns = found.shape[-2:]
        torch._foreach_mul_(list(parameters), 1 - lr * group["weight_decay"])
        torch._foreach_add_(list(parameters), directions, alpha=-lr * math.sqrt(max(1, rows / columns)))


def _of_equal_shape(parameters: Sequence[torch.nn.Parameter]) -> Iterator[list[torch.nn.Parameter]]:
    """Batches of matrices of one shape and device, in the order of the parameters."""
    alike: dict[Any, list[torch.nn.Parameter]] = {}
    for parameter in parameters:
        alike.setdefault((parameter.shape, parameter.dtype, parameter.device), []).append(parameter)
    for (shape, _, _), found in alike.items():
        size = max(1, BATCH_ELEMENTS // shape.numel())
        for first in range(0, len(found), size):
            yield found[first : first + size]


def orthogonalised(update: Tensor, coefficients: tuple[float, float, float], num_steps: int, eps: float) -> Tensor:
    """US'Vᵀ of a matrix USVᵀ, or of each of a stack, with S' near 1, in bfloat16: X ← aX + (bA + cA²)X with A = XXᵀ, from X
    of norm 1."""
    a, b, c = coefficients
    rows, columns = update.shape[-2:]
    plus_product = torch.addmm if update.ndim == 2 else torch.baddbmm
    x = update.bfloat16()
    if rows > columns:
        x = x.mT
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=eps)
    for _ in range(num_steps):
        gram = x @ x.mT
        x = plus_product(x, plus_product(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if rows > columns else x
