"""PreRL: policy gradients in pre-train space, on log P(y) with the question removed (arXiv:2604.14142).

`marginal_pg` trains on both signs, `marginal_nsr` on negative samples only, `marginal_psr` on positive ones only.
Responses are still sampled given their question; only the differentiated log-probability changes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from prerl_components.advantages.group_mean import GroupMean
from prerl_components.advantages.minus_one import MinusOne
from prerl_components.objectives.point import Point
from prerl_components.objectives.presets.flat import ClippedPreset
from prerl_spec.sdk import Advantage, Code, Conflict, Marginal, Place, Wiring

PAPER = "arXiv:2604.14142"
_UNLIKE: Mapping[str, str] = {
    "coefficient": "coefficient is 1.0, the paper's is 0.01",
    "dual_clip": "dual_clip is off, the authors' code has 10",
}


class MarginalObjective(ClippedPreset):
    """∇J = E_{x, y~π(·|x)} [Σ_t ∇log π(y_t | b, y_<t) · A]: arXiv:2604.14142, with A = r − mean_group(r) by default."""

    version = 2
    """With center = "group" the coefficients on log P(y) sum to zero in a group for every aggregation (version 1: for
    token_mean and constant)."""
    hints: ClassVar[Mapping[str, str]] = {
        **ClippedPreset.hints,
        "view": "its view is `marginal`, with the setting `prefix`; `policy_gradient` has `view`",
    }
    selects: ClassVar[Literal["both", "negative", "positive"]]
    """Sign of A of the samples that are trained; whole samples are selected, as in the authors' mask."""

    advantage: Literal["group_mean", "minus_one"] = Field(
        "group_mean",
        description="group_mean: r − mean of the group; minus_one: r − 1, which also trains on all-wrong groups",
    )
    center: Literal["none", "group"] = Field(
        "none",
        description="group: after selection, subtract the group's weighted mean advantage, so that the coefficients on "
        "log P(y) sum to zero in each group",
    )
    prefix: str = Field(
        "auto",
        min_length=1,
        description='prefix b that replaces the question: a text, or "auto": the first special token of the chat '
        "template, else BOS, else EOS",
    )

    def advantage_part(self) -> Advantage:
        return GroupMean() if self.advantage == "group_mean" else MinusOne()

    def point(self) -> Point:
        """Centred, a sample that was not selected enters as 0 and gets minus the group's mean: all samples are trained
        and all count. With 0/1 rewards k of G right and equal weights, centred nsr gives right ones k(G−k)/G², wrong
        ones −k²/G²."""
        return replace(
            super().point(),
            view=Marginal(prefix=self.prefix),
            positive=0.0 if self.selects == "negative" else 1.0,
            negative=0.0 if self.selects == "positive" else 1.0,
            center=self.center == "group",
        )

    def setting_behind(self, fact: str) -> str:
        if fact == "min_group":
            return "advantage" if self.advantage == "group_mean" else "center"
        return super().setting_behind(fact)


class MarginalPg(MarginalObjective):
    """PreRL: both signs, on log P(y)."""

    formula: ClassVar[str] = "Σ_t −min(ρA, clip(ρ, 1−ε₋, 1+ε₊)A)/N on log π(y_t | b, y_<t), A = r − m"
    source: ClassVar[str] = f"PreRL, {PAPER}"
    unlike: ClassVar[Mapping[str, str]] = _UNLIKE

    selects = "both"


class MarginalNsr(MarginalObjective):
    """NSR-PreRL, the warm-up of DSRL: samples of negative advantage only, on log P(y)."""

    formula: ClassVar[str] = "Σ_t 1[A < 0] · −min(ρA, clip(ρ, 1−ε₋, 1+ε₊)A)/N₋ on log π(y_t | b, y_<t), A = r − m"
    source: ClassVar[str] = f"NSR-PreRL, {PAPER}"
    unlike: ClassVar[Mapping[str, str]] = {
        **_UNLIKE,
        "coefficient": "coefficient is 1.0, the paper's warm-up has 0.01",
    }

    selects = "negative"


class MarginalPsr(MarginalObjective):
    """PSR-PreRL: samples of positive advantage only, on log P(y)."""

    formula: ClassVar[str] = "Σ_t 1[A > 0] · −min(ρA, clip(ρ, 1−ε₋, 1+ε₊)A)/N₊ on log π(y_t | b, y_<t), A = r − m"
    source: ClassVar[str] = f"PSR-PreRL, {PAPER}"
    unlike: ClassVar[Mapping[str, str]] = _UNLIKE

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
