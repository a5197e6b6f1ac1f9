"""DeepSeek-V3.2's off-policy sequence mask: wrong responses far from the sampler are not trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from prerl_spec.sdk import Correction, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class SequenceMask(Correction):
    """0 for the tokens of A < 0 of a response whose mean_t log(π_sampler/π_trainer) exceeds δ, else 1.

    A mask, not an importance weight: what is kept has weight 1, and right responses are always kept. π_trainer is the
    policy before the batch; the paper compares the sampler with the current policy, which is the same at the first
    update of a batch, and at later ones also counts how far the policy has moved (a surrogate's ratio does that here).
    """

    formula: ClassVar[str] = "0 where A < 0 and mean_t log(π_sampler/π_trainer) > δ, else 1"
    source: ClassVar[str] = "DeepSeek-V3.2, arXiv:2512.02556, eqs. 8–9"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": "off_policy_mask_threshold (off unless set), against the current policy",
        "ms-swift": "off_policy_sequence_mask_delta",
    }
    unlike: ClassVar[Mapping[str, str]] = {
        "use": "the sampler is compared with the policy before the batch, in the paper and in TRL with the current one",
        "delta": "delta 0.5 is the example in TRL's documentation: the paper prints none",
    }

    delta: float = Field(
        0.5,
        gt=0,
        description="δ, nats per token: largest mean_t log(π_sampler/π_trainer) of a wrong response that is trained",
    )

    def ratio(self, trainer_n: Tensor, sampler_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] 1: it masks, and does not reweight."""
        return trainer_n.detach().new_ones(trainer_n.shape)

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] 0 or 1."""
        from prerl_components.ratios.levels import mean_gap

        far_n = mean_gap(sampler_n, trainer_n, tokens) > self.delta
        return self.ratio(trainer_n, sampler_n, tokens).masked_fill((advantage_n < 0) & far_n, 0.0)
