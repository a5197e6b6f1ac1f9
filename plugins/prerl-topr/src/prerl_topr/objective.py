"""TOPR: REINFORCE off policy, stable because wrong responses are tapered and right ones are not (arXiv:2503.14286)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from prerl_spec.sdk import (
    Array,
    Code,
    Conditional,
    Conflict,
    Credit,
    Need,
    OnePartObjective,
    Place,
    Step,
    Tokens,
    Wiring,
)
from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor

CURRENT = Need(Conditional(), "policy")
BEFORE = Need(Conditional(), "old")


class Topr(OnePartObjective):
    """Tapered Off-Policy REINFORCE: right responses whole, wrong ones times min(π/μ, taper) of the response.

    A = R − c with R = 2r − 1 in [−1, 1] and c the baseline; the loss is (1/S) Σ_i α_i · −A_i · log π(y_i | x_i) over
    the S scored responses of an update, a sum over tokens without a length in it.
    """

    coefficient: float = Field(1.0, gt=0, description="multiplies the whole loss of this objective")
    baseline: float = Field(
        0.0, gt=-1, lt=1, description="c: subtracted from R; its sign moves weight between right and wrong responses"
    )
    taper: float = Field(
        1.0, gt=0, description="b: the largest ratio π/μ that a response with R − c < 0 is weighed with"
    )

    @property
    def uses_ratio(self) -> bool:
        return True

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]"})

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        """A taper of 1 or more cuts no ratio that is always 1."""
        if wiring.updates_per_batch == 1 and "taper" in wiring.written and self.taper >= 1:
            yield Conflict(
                Code.NO_EFFECT,
                "`taper` has no effect with one update a batch: the ratio to the old policy is always 1",
                (Place("self", "taper"),),
                help="set updates_per_batch above 1 to make it act, or leave it out",
            )

    def needs(self) -> frozenset[Need]:
        return frozenset({CURRENT, BEFORE})

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        """A = R − c and weight coefficient/S for every token of a scored response; none where A = 0."""
        tokens = step.tokens
        scored_S = ~np.isnan(step.reward_S) & (tokens.length_S > 0)
        advantage_S = np.where(scored_S, 2.0 * step.reward_S - 1.0 - self.baseline, 0.0)
        num_scored = int(scored_S.sum())
        weight_S = np.where(advantage_S != 0.0, self.coefficient / max(1, num_scored), 0.0)
        sample_N = tokens.sample_N
        return Credit(advantage_S[sample_N], weight_S[sample_N], f"scored responses of the update: {num_scored}")

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        import torch

        from prerl_topr.losses import tapered_loss

        current_n = logp[CURRENT]
        sample_n = torch.from_numpy(tokens.sample_N).to(current_n.device)
        return tapered_loss(current_n, logp.get(BEFORE, current_n.detach()), advantage_n, sample_n, taper=self.taper)
