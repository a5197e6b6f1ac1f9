"""The base class of corrections whose ratio is taken per token, per sequence or as a geometric mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prerl_spec.sdk import Correction, Tokens

if TYPE_CHECKING:
    from torch import Tensor

LEVEL_WORDS = "token: w per token; sequence: the product over the response; geometric: its T-th root, exp(mean log w)"


class LeveledCorrection(Correction):
    """A correction by w = π_trainer/π_sampler at a level."""

    level: Literal["token", "sequence", "geometric"] = Field("token", description=LEVEL_WORDS)

    def ratio(self, trainer_n: Tensor, sampler_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] w at the level."""
        from prerl_components.ratios.levels import leveled_ratio

        return leveled_ratio(trainer_n, sampler_n, tokens, self.level)
