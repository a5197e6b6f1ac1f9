"""Truncated importance sampling against the sampler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from prerl_components.corrections.leveled import LeveledCorrection
from prerl_spec.sdk import Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Truncate(LeveledCorrection):
    """min(w, C): truncated importance weights."""

    formula: ClassVar[str] = "min(w, C), w = π_trainer/π_sampler"
    source: ClassVar[str] = "truncated importance sampling, Yao et al. 2025; as in the code of TRL and verl"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": 'vllm_importance_sampling_mode "token_truncate", "sequence_truncate": cap 3.0',
        "verl": 'rollout_is "token", "sequence": rollout_is_threshold 2.0',
    }
    unlike: ClassVar[Mapping[str, str]] = {
        "cap": "cap is 2, as verl's rollout_is_threshold: TRL's is 3",
        "level": "level is token: verl's rollout_is is sequence unless set, and TRL masks sequences unless set",
    }

    cap: float = Field(2.0, gt=0, description="maximum importance weight C")

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] min(w, C)."""
        return self.ratio(trainer_n, sampler_n, tokens).clamp(max=self.cap)
