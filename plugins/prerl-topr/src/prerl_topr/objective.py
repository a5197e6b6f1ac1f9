"""TOPR: off-policy REINFORCE, stabilised by tapering the ratios of wrong responses only (arXiv:2503.14286)."""

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
    """Tapered Off-Policy REINFORCE: right responses have weight 1, wrong ones min(π/μ, taper) of the response.

    A = R − c with R = 2r − 1 in [−1, 1] and c the baseline; the loss is (1/S) Σ_i α_i · −A_i · log π(y_i | x_i) over
    the S scored responses of an update, a sum over tokens without length normalisation.
    """

    coefficient: float = Field(1.0, gt=0, description="factor of this objective's loss")
    baseline: float = Field(
        0.0, gt=-1, lt=1, description="baseline c subtracted from R; below 0 right responses weigh more, above 0 wrong"
    )
    taper: float = Field(1.0, gt=0, description="b: maximum ratio π/μ for responses with R − c < 0")

    @property
    def uses_ratio(self) -> bool:
        return True

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]"})

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        """A taper of 1 or more has no effect on ratios that are always 1."""
        if wiring.updates_per_batch == 1 and "taper" in wiring.written and self.taper >= 1:
            yield Conflict(
                Code.NO_EFFECT,
                "`taper` has no effect with one update per batch: the ratio to the old policy is always 1",
                (Place("self", "taper"),),
                help="set updates_per_batch above 1, or remove taper",
            )

    def needs(self) -> frozenset[Need]:
        return frozenset({CURRENT, BEFORE})

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        """A = R − c and weight coefficient/S for every token of a scored response; weight 0 where A = 0."""
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
