"""Truncated importance sampling against the sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from prerl_components.corrections.leveled import LeveledCorrection
from prerl_spec.sdk import Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Truncate(LeveledCorrection):
    """min(w, C): truncated importance weights."""

    formula: ClassVar[str] = "min(w, C), w = π_trainer/π_sampler"

    cap: float = Field(2.0, gt=0, description="maximum importance weight C")

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] min(w, C)."""
        return self.ratio(trainer_n, sampler_n, tokens).clamp(max=self.cap)
