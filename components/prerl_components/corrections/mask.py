"""Importance weights against the sampler, with those above a cap dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from prerl_components.corrections.leveled import LeveledCorrection
from prerl_spec.sdk import Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Mask(LeveledCorrection):
    """w where w ≤ C, else 0: masked importance weights."""

    formula: ClassVar[str] = "w · 1[w ≤ C], w = π_trainer/π_sampler"

    cap: float = Field(2.0, gt=0, description="maximum importance weight C; tokens above it get weight 0")

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] w where w ≤ C, else 0."""
        w_n = self.ratio(trainer_n, sampler_n, tokens)
        return w_n.where(w_n <= self.cap, w_n.new_zeros(()))
