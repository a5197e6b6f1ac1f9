"""Muon for the matrices of a transformer's blocks, AdamW for all other parameters; both torch's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from prerl_components.optimizers.adamw import torch_adamw
from prerl_components.optimizers.learning_rate import Beta, LearningRate
from prerl_spec.sdk import EnvironmentUnmet

if TYPE_CHECKING:
    import torch

_IN_A_NUMBERED_BLOCK = re.compile(r"(^|\.)\d+\.")


class Muon(LearningRate):
    """Momentum orthogonalised by Newton–Schulz iterations (https://kellerjordan.github.io/posts/muon).

    The size of an update depends on lr only, not on the gradient's, so lr is far larger than AdamW's (0.02 against
    3e-3). Hidden matrices are the 2-D weights inside a numbered block (`layers.0.`, `h.0.`); embeddings, head, norms,
    biases and positions are updated by AdamW.
    """

    momentum: float = Field(0.95, ge=0, lt=1, description="Nesterov momentum of the hidden matrices")
    adamw_lr: float | None = Field(
        None, gt=0, description="AdamW's learning rate for embeddings, head and norms; default: lr"
    )
    betas: tuple[Beta, Beta] = Field((0.9, 0.999), description="AdamW's betas for embeddings, head and norms")
    eps: float = Field(1e-8, gt=0, description="AdamW's eps for embeddings, head and norms")

    def build(self, named_parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> list[torch.optim.Optimizer]:
        """[Muon, AdamW]. Raises EnvironmentUnmet for a model without a matrix in a numbered block."""
        from prerl_components.optimizers.batched_muon import BatchedMuon

        hidden: list[torch.nn.Parameter] = []
        others: list[torch.nn.Parameter] = []
        for name, parameter in named_parameters:
            (hidden if parameter.ndim == 2 and _IN_A_NUMBERED_BLOCK.search(name) else others).append(parameter)
        if not hidden:
            raise EnvironmentUnmet("`muon` found no 2-D weight inside a numbered block", hint="use `adamw`")
        optimizers: list[torch.optim.Optimizer] = [
            BatchedMuon(hidden, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)
        ]
        if others:
            adamw_lr = self.lr if self.adamw_lr is None else self.adamw_lr
            optimizers.append(torch_adamw(others, adamw_lr, self.betas, self.eps, self.weight_decay))
        return optimizers
