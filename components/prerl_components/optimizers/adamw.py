"""AdamW (arXiv:1711.05101), from torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from prerl_components.optimizers.learning_rate import Beta, LearningRate

if TYPE_CHECKING:
    import torch


FUSED_ON = frozenset({"cpu", "cuda"})
"""Devices on which an update is one kernel over all parameters. Unfused it takes five times as long on a CPU, and allocates
copies of the moments' size: 16 GB at 4 B parameters."""


class Adamw(LearningRate):
    """Adam with decoupled weight decay on every parameter; moments are float32, as the weights."""

    betas: tuple[Beta, Beta] = Field((0.9, 0.999), description="decay rates of the first and second moment")
    eps: float = Field(1e-8, gt=0, description="added to the square root of the second moment")

    def build(self, named_parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> list[torch.optim.Optimizer]:
        parameters = [parameter for _, parameter in named_parameters]
        return [torch_adamw(parameters, self.lr, self.betas, self.eps, self.weight_decay)]


def torch_adamw(
    parameters: list[torch.nn.Parameter], lr: float, betas: tuple[float, float], eps: float, weight_decay: float
) -> torch.optim.Optimizer:
    """torch's AdamW, fused where that is possible: the same formula, and the same state by name."""
    import torch

    fused = True if {p.device.type for p in parameters} <= FUSED_ON else None
    return torch.optim.AdamW(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=fused)
