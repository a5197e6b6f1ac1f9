"""A stored batch as the peers want it: rows padded on the right, a mask, and the current log-probabilities as a leaf."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

FIRST_TOKEN = 4
"""Ids below are the tokenizer's special ones: pad 0, unknown 1, EOS 2, and the prompt's only word 3."""
PAD, EOS, PROMPT = 0, 2, 3


@dataclass(frozen=True)
class Stored:
    """One batch of batches.json. `[N]` vectors run over the tokens, response after response."""

    name: str
    group_size: int
    max_new_tokens: int
    length_S: list[int]
    truncated_S: list[bool]
    reward_S: list[float | None]
    parts_S: dict[str, list[float | None]]
    current_N: list[float]
    old_N: list[float]
    sampler_N: list[float]
    reference_N: list[float]
    entropy_N: list[float]

    @property
    def num_samples(self) -> int:
        return len(self.length_S)

    @property
    def mask(self) -> torch.Tensor:
        """[S, T], 1 on the tokens of each response."""
        return self.padded(torch.ones(sum(self.length_S)))

    def padded(self, values_N: Sequence[float] | torch.Tensor) -> torch.Tensor:
        """[S, T] in float32, 0 on padding; differentiable in a tensor of values."""
        values = torch.as_tensor(values_N, dtype=torch.float32)
        width = max(self.length_S)
        row = torch.repeat_interleave(torch.arange(self.num_samples), torch.tensor(self.length_S))
        column = torch.cat([torch.arange(length) for length in self.length_S])
        return torch.zeros(self.num_samples, width).index_put((row, column), values)

    def flat(self, values: torch.Tensor) -> list[float]:
        """[N] out of [S, T]."""
        return [float(v) for row, length in zip(values, self.length_S, strict=True) for v in row[:length]]

    def leaves(self) -> tuple[torch.Tensor, torch.Tensor]:
        """[N] the current log-probabilities and entropies, with respect to which each loss is differentiated."""
        return tuple(
            torch.tensor(values, dtype=torch.float32, requires_grad=True) for values in (self.current_N, self.entropy_N)
        )

    def rows_of_updates(self, updates: int) -> list[slice]:
        """The responses of each update, in order."""
        size = self.num_samples // updates
        return [slice(update * size, (update + 1) * size) for update in range(updates)]

    def split(self, values_N: Sequence[float]) -> list[list[float]]:
        """One list a response."""
        lists, start = [], 0
        for length in self.length_S:
            lists.append([float(v) for v in values_N[start : start + length]])
            start += length
        return lists

    def token_ids(self) -> list[list[int]]:
        """Ids that mean nothing, but for the EOS that ends each response which was not cut off."""
        return [
            [FIRST_TOKEN] * length if cut else [FIRST_TOKEN] * (length - 1) + [EOS]
            for length, cut in zip(self.length_S, self.truncated_S, strict=True)
        ]


def loss_and_gradients(loss: torch.Tensor, leaves: tuple[torch.Tensor, torch.Tensor]) -> dict[str, Any]:
    """What is stored of a loss; the gradient by entropies only where it is not zero."""
    by_logp, by_entropy = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    found = {"loss": loss.item(), "gradient_N": by_logp.tolist()}
    return found | ({"entropy_gradient_N": by_entropy.tolist()} if by_entropy.any() else {})


UPDATES = 3
"""Where a batch is trained in several updates, each has one of its groups; stored are the sums over the updates."""
USUAL = ("near", "far", "graded")
"""The batches on which every case runs."""


def read_batches(path: Path) -> list[Stored]:
    batches: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return [Stored(**batch) for batch in batches]
