"""AdamW (arXiv:1711.05101), from torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from prerl_components.optimizers.learning_rate import Beta, LearningRate

if TYPE_CHECKING:
    import torch


class Adamw(LearningRate):
    """Adam with decoupled weight decay on every parameter; moments are float32, as the weights."""

    betas: tuple[Beta, Beta] = Field((0.9, 0.999), description="decay rates of the first and second moment")
    eps: float = Field(1e-8, gt=0, description="added to the square root of the second moment")

    def build(self, named_parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> list[torch.optim.Optimizer]:
        import torch

        parameters = [parameter for _, parameter in named_parameters]
        return [
            torch.optim.AdamW(parameters, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay)
        ]
