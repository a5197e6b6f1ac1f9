"""DRO: no clip; a square holds the response's log-ratio back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prerl_spec.sdk import Need, Surrogate, Tokens
from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor


class Dro(Surrogate):
    """−A·log π(y) + (β/2)·(log π(y)/π_old(y))² of a response, divided among its tokens.

    A token has the gradient −(A − βL)·∇log π_t with L = Σ_t log ρ_t: the pull back begins at A = βL, and a
    response with A = 0 is pulled back to π_old: it keeps its weight. The paper's value
    network V(x) is the advantage's baseline here, and its fixed reference policy the policy before the batch. Its
    objective is aggregation = "constant", up to that constant.
    """

    formula: ClassVar[str] = "−A·log π_t + (β/2)·L²/|y|, L = Σ_t log ρ_t over the response"
    source: ClassVar[str] = "DRO, arXiv:2405.19107, the policy's loss divided by τ = β; τ = 1 was its best of .1, 1, 5"
    peers: ClassVar[Mapping[str, str]] = {"verl": "policy_loss.loss_mode = dro", "Tinker": "dro"}
    unlike: ClassVar[Mapping[str, str]] = {
        "beta": "verl and Tinker square the log-ratio of each token by itself, so that their β means another size"
    }
    trains_zero: ClassVar[bool] = True
    ratio_settings: ClassVar[tuple[str, ...]] = ("beta",)

    beta: float = Field(1.0, gt=0, description="β: weight of the square")

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] losses; over a response they sum to −A·log π(y) + (β/2)·L²."""
        from prerl_zoo.ratios import response_lengths, response_sums

        gap_n = response_sums((logp_n - old_n).detach(), tokens)
        # β·L·log ρ_t has the square's gradient in each token, and leaves masked tokens none.
        pull_n = self.beta * gap_n * (logp_n - logp_n.detach())
        share_n = self.beta / 2 * gap_n.square() / response_lengths(gap_n, tokens)
        return -advantage_n * logp_n + share_n + pull_n
