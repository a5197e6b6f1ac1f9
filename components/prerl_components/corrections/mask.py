"""Importance weights against the sampler, with those above a cap dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from prerl_components.corrections.leveled import LeveledCorrection
from prerl_spec.sdk import Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Mask(LeveledCorrection):
    """w where w ≤ C, else 0: masked importance weights. What is dropped still counts in the denominator."""

    formula: ClassVar[str] = "w · 1[w ≤ C], w = π_trainer/π_sampler"
    source: ClassVar[str] = "masked importance sampling, as in the code of TRL"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": 'vllm_importance_sampling_mode "token_mask", "sequence_mask" (its default): cap 3.0',
        "verl": "rollout_rs rejects instead: what it drops leaves the denominators too",
    }
    unlike: ClassVar[Mapping[str, str]] = {
        "cap": "cap is 2: TRL's is 3",
        "level": "level is token: TRL's default masks sequences",
    }

    cap: float = Field(2.0, gt=0, description="maximum importance weight C; tokens above it get weight 0")

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] w where w ≤ C, else 0."""
        w_n = self.ratio(trainer_n, sampler_n, tokens)
        return w_n.where(w_n <= self.cap, w_n.new_zeros(()))
