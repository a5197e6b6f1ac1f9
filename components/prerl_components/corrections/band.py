"""IcePop: importance weights against the sampler, with those outside a band dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from prerl_components.corrections.leveled import LeveledCorrection
from prerl_spec.sdk import Code, Conflict, Place, Tokens, Wiring

if TYPE_CHECKING:
    from torch import Tensor


class Band(LeveledCorrection):
    """w where α ≤ w ≤ β, else 0. Inside the band the weight is w itself; what is dropped still counts in the denominator."""

    formula: ClassVar[str] = "w · 1[α ≤ w ≤ β], w = π_trainer/π_sampler"
    source: ClassVar[str] = "IcePop, arXiv:2510.18855, eqs. 1–3"
    peers: ClassVar[Mapping[str, str]] = {
        "verl": 'rollout_is_threshold "0.5_5.0" with rollout_is "token"',
        "OpenRLHF": "is_correction_mode mask: 0.5 to 5",
        "TRL": 'vllm_importance_sampling_mode "token_mask" with clip_min and clip_max',
    }

    low: float = Field(0.5, ge=0, description="α: weights below it become 0")
    high: float = Field(5.0, gt=0, description="β: weights above it become 0")

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        if self.low >= self.high:
            yield Conflict(
                Code.CONTRADICTION,
                f"low = {self.low:g} is not below high = {self.high:g}: every weight would be 0",
                (Place("self", "low"), Place("self", "high")),
                help="write a low below high",
            )

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] w inside the band, else 0."""
        w_n = self.ratio(trainer_n, sampler_n, tokens)
        return w_n.where((w_n >= self.low) & (w_n <= self.high), w_n.new_zeros(()))
