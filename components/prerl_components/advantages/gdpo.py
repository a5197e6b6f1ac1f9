"""Several rewards, each normalised within the group before they are added, as in GDPO."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from prerl_components.advantages.std_eps import STD_EPS
from prerl_spec.sdk import Advantage, Array, Batch, minus_mean, without_rounding


class Gdpo(Advantage):
    """A_i = z_i/(σ_batch z + 1e-6), z = Σ_n w_n·(rⁿ − mⁿ)/(σⁿ + 1e-6), n over the parts of the reward: the verifier's
    score ("verdict") and each reward term.

    Each part's mean and unbiased std are those of the group, σ_batch z that of the step's samples; the mean of z is 0 in
    every group, so that none is subtracted. Samples of equal sum differ where their parts do. With one part it is
    `group_std` divided by a number of the batch.
    """

    formula: ClassVar[str] = "z/(σ_batch z + 1e-6), z = Σ_n w_n·(rⁿ − mⁿ)/(σⁿ + 1e-6)"
    source: ClassVar[str] = "GDPO, arXiv:2601.05242, eqs 4, 6 and 7; over samples as in TRL"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": 'multi_objective_aggregation = "normalize_then_sum", ε 1e-4',
        "verl": "gdpo, which whitens over tokens",
    }
    baseline_over = "group"
    shift = True
    scale = 0

    weights: Mapping[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="weight of each part of the reward, by name; a part that is not named has weight 1"
    )

    def consumes(self) -> frozenset[str]:
        return frozenset(f"reward_part[{name}]" for name in self.weights)

    def advantage(self, batch: Batch) -> Array:
        """[S]; 0 in groups with fewer than two scored samples, which do not count in σ_batch."""
        step = batch.step
        sum_S, compared_S = np.zeros(len(step.samples)), np.zeros(len(step.samples), dtype=bool)
        for mine, _ in step.scored_groups():
            compared_S[mine] = True
            term_ns = np.stack(
                [
                    self.weights.get(name, 1.0) * minus_mean(part_S[mine]) / (np.std(part_S[mine], ddof=1) + STD_EPS)
                    for name, part_S in step.parts_S.items()
                ]
            )
            sum_S[mine] = without_rounding(term_ns.sum(0), term_ns.ravel())
        if not compared_S.any():
            return sum_S
        return sum_S / (np.std(sum_S[compared_S], ddof=1) + STD_EPS)
