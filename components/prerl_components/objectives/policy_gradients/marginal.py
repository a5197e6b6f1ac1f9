"""PreRL: policy gradients in pre-train space, on log P(y) with the question removed (arXiv:2604.14142).

`marginal_pg` trains on both signs, `marginal_nsr` on negative samples only, `marginal_psr` on positive ones only.
Responses are still sampled given their question; only the differentiated log-probability changes.
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from prerl_components.objectives.arithmetic.advantages import centre, group_mean, minus_one
from prerl_components.objectives.policy_gradients.policy_gradient import Advantages, PolicyGradient
from prerl_components.objectives.policy_gradients.wiring_rules import settings_of_the_other_sign
from prerl_spec.sdk import Array, Code, Conflict, Marginal, Place, Step, Wiring


class MarginalObjective(PolicyGradient):
    """∇J = E_{x, y~π(·|x)} [Σ_t ∇log π(y_t | b, y_<t) · A]: arXiv:2604.14142, with A = r − mean_group(r) by default."""

    selects: ClassVar[Literal["both", "negative", "positive"]]
    """Sign of A of the samples that are trained; whole samples are selected, as in the authors' mask."""

    advantage: Literal["group_mean", "minus_one"] = Field(
        "group_mean",
        description="group_mean: r − mean of the group; minus_one: r − 1, which also trains on all-wrong groups",
    )
    center: Literal["none", "group"] = Field(
        "none",
        description="group: after selection, subtract the group's mean weight, so that weights of both signs sum to "
        "zero in each group",
    )
    prefix: str = Field(
        "auto",
        min_length=1,
        description='prefix b that replaces the question: a text, or "auto": the first special token of the chat '
        "template, else BOS, else EOS",
    )

    @property
    def view(self) -> Marginal:
        return Marginal(prefix=self.prefix)

    @property
    def min_group(self) -> int:
        return 2 if self.advantage == "group_mean" or self.center == "group" else 1

    def setting_behind(self, fact: str) -> str:
        if fact == "min_group":
            return "advantage" if self.advantage == "group_mean" else "center"
        return super().setting_behind(fact)

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        yield from super().check(wiring)
        yield from settings_of_the_other_sign(wiring, self.selects if self.center == "none" else "both")

    def advantages(self, reward_S: Array, trainable_S: npt.NDArray[np.bool_], step: Step) -> Advantages:
        """The mask is the selection: N counts the tokens of samples with A < 0 (nsr), A > 0 (psr), or all (pg).

        Centred, a sample that was not selected enters as 0 and gets minus the group's mean: all samples are trained
        and all count. With 0/1 rewards k of G right, centred nsr gives right ones k(G−k)/G², wrong ones −k²/G².
        """
        by_mean = self.advantage == "group_mean"
        advantage_S = group_mean(reward_S, step.group_S) if by_mean else minus_one(reward_S)
        selected_S = trainable_S & self._selected(advantage_S)
        if self.center == "none":
            return Advantages(advantage_S, selected_S)
        return Advantages(centre(np.where(selected_S, advantage_S, 0.0), trainable_S, step.group_S), trainable_S)

    def _selected(self, advantage_S: Array) -> npt.NDArray[np.bool_]:
        if self.selects == "negative":
            return advantage_S < 0
        if self.selects == "positive":
            return advantage_S > 0
        return np.ones(advantage_S.shape, dtype=bool)


class MarginalPg(MarginalObjective):
    """PreRL: both signs, on log P(y)."""

    selects = "both"


class MarginalNsr(MarginalObjective):
    """NSR-PreRL, the warm-up of DSRL: samples of negative advantage only, on log P(y)."""

    selects = "negative"


class MarginalPsr(MarginalObjective):
    """PSR-PreRL: samples of positive advantage only, on log P(y)."""

    selects = "positive"

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        yield from super().check(wiring)
        if self.advantage == "minus_one":
            yield Conflict(
                Code.CONTRADICTION,
                "with `minus_one` no sample has a positive advantage, so `marginal_psr` has nothing to train on",
                (Place("self", "use"), Place("self", "advantage")),
                help='use advantage = "group_mean", or `marginal_nsr`, which trains on negative advantages',
            )
