"""For each case of the peers, the same thing in our words: an objective, or the reason why there is none.

`differs` says on purpose: what differs, and whose formula is the paper's; `on` names the batches where it shows, if not on all.
The test requires that a case differs there, and agrees elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prerl_components.advantages.group_mean import GroupMean
from prerl_components.advantages.group_std import GroupStd
from prerl_components.corrections.mask import Mask
from prerl_components.corrections.truncate import Truncate
from prerl_components.objectives.aggregation import Aggregation
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.objectives.presets.group_relative import Dapo, DrGrpo, Grpo
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.objectives.weighted_sum import WeightedSum
from prerl_components.surrogates.clip import Clip
from prerl_components.surrogates.plain import Plain

Part = Literal["loss", "gradient", "advantage"]


@dataclass(frozen=True)
class Ours:
    """An objective, the parts of a reward that it trains on, and what of it is compared."""

    objective: Any
    differs: str = ""
    on: tuple[str, ...] = ()
    rewards: Mapping[str, float] = field(default_factory=lambda: {"score": 1.0})
    compared: tuple[Part, ...] = ("loss", "gradient", "advantage")

    def differs_on(self, batch: str) -> bool:
        return bool(self.differs) and (not self.on or batch in self.on)


def gradient_of(advantage: Any, surrogate: Any, aggregation: Aggregation = "token_mean", **more: Any) -> PolicyGradient:
    return PolicyGradient(advantage=advantage, surrogate=surrogate, aggregation=aggregation, **more)


def summed(*terms: Any) -> WeightedSum:
    return WeightedSum(terms=terms)


def earns(advantage: Any, differs: str = "", **more: Any) -> Ours:
    """An advantage alone; with two reward parts, on their sum."""
    return Ours(gradient_of(advantage, Plain()), differs, compared=("advantage",), **more)


MEAN, STD = GroupMean(), GroupStd()
DUAL = Clip(dual_clip=3.0)
"""verl's `vanilla`: its dual clip of 3 is always on."""
TWO_PARTS = {"score": 1.0, "format": 0.5}
STD_EPSILON = "TRL adds 1e-4 to the standard deviation; DeepSeek's formula has none, verl's and ours is 1e-6"
K3_BOUND = "verl cuts k3 at 10, without a gradient beyond; Schulman's estimator has no bound"
REJECTION = (
    "verl takes rejected tokens out of the response mask, hence out of every denominator, and weighs the others 1; a "
    "`mask` or `band` here weighs them by w, and the denominator stays, as in TRL and in IcePop"
)

TRL: Mapping[str, Ours | str] = {
    "trl.defaults": Ours(Dapo(clip_high=0.2), STD_EPSILON),
    "trl.grpo": Ours(gradient_of(MEAN, Clip(), "sequence_mean")),
    "trl.grpo.group_std": Ours(Grpo(), STD_EPSILON),
    "trl.bnpo": Ours(gradient_of(MEAN, Clip())),
    "trl.dr_grpo": Ours(DrGrpo()),
    "trl.dapo": Ours(gradient_of(MEAN, Clip(clip_high=0.28))),
    "trl.dapo.delta": Ours(gradient_of(MEAN, Clip(clip_high=0.28, dual_clip=1.5))),
    "trl.dapo.mask_truncated": Ours(gradient_of(MEAN, Clip(), unparsable="mask")),
    "trl.grpo.mask_truncated": Ours(
        gradient_of(MEAN, Clip(), "sequence_mean", unparsable="mask"),
        "TRL's mean over responses divides by the masked ones as well; no paper has the pair (DAPO masks under a token mean)",
    ),
    "trl.grpo.kl.plain_k3": Ours(summed(gradient_of(MEAN, Clip(), "sequence_mean"), Kl(coefficient=0.04))),
    "trl.grpo.kl": Ours(summed(gradient_of(MEAN, Clip(), "sequence_mean"), Kl(coefficient=0.04, gradient="ratio"))),
    "trl.dapo.kl": Ours(summed(gradient_of(MEAN, Clip()), Kl(coefficient=0.04, gradient="ratio"))),
    "trl.grpo.token_truncate.kl": Ours(
        summed(
            gradient_of(MEAN, Clip(), "sequence_mean", correction=Truncate(cap=2.0)),
            Kl(coefficient=0.04, gradient="ratio"),
        )
    ),
    "trl.grpo.entropy": Ours(
        summed(gradient_of(MEAN, Clip(), "sequence_mean"), Entropy(coefficient=0.01, aggregation="token_mean"))
    ),
    "trl.dapo.token_truncate": Ours(gradient_of(MEAN, Clip(), correction=Truncate(cap=2.0))),
    "trl.dapo.token_mask": Ours(gradient_of(MEAN, Clip(), correction=Mask(cap=1.5))),
    "trl.dapo.sequence_truncate": Ours(gradient_of(MEAN, Clip(), correction=Truncate(level="sequence", cap=2.0))),
    "trl.dapo.sequence_mask": Ours(gradient_of(MEAN, Clip(), correction=Mask(level="sequence", cap=2.0))),
    "trl.advantage.group": earns(STD, STD_EPSILON),
    "trl.advantage.none": earns(MEAN),
    "trl.advantage.sum_of_parts": earns(STD, STD_EPSILON, rewards=TWO_PARTS),
    "trl.advantage.rloo.normalised": "not offered: leave-one-out advantages, whitened over the batch's samples",
}

VERL: Mapping[str, Ours | str] = {
    "verl.defaults": Ours(gradient_of(STD, DUAL)),
    "verl.vanilla.token-sum": "not offered: a loss without a denominator grows with the batch",
    "verl.vanilla.seq-mean-token-mean": Ours(Grpo(dual_clip=3.0)),
    "verl.vanilla.seq-mean-token-sum": Ours(gradient_of(STD, DUAL, "constant", coefficient=12.0)),
    "verl.vanilla.seq-mean-token-sum-norm": Ours(gradient_of(STD, DUAL, "constant")),
    "verl.vanilla.dual_clip": Ours(gradient_of(STD, Clip(dual_clip=1.5))),
    "verl.vanilla.clip_higher": Ours(Dapo(dual_clip=3.0)),
    "verl.plain": Ours(gradient_of(MEAN, Plain())),
    "verl.kl.k1": Ours(Kl(estimator="k1"), compared=("loss", "gradient")),
    "verl.kl.k2": Ours(Kl(estimator="k2"), compared=("loss", "gradient")),
    "verl.kl.k3": Ours(Kl(), K3_BOUND, on=("far",), compared=("loss", "gradient")),
    "verl.kl.k3.sequences": Ours(Kl(aggregation="sequence_mean"), K3_BOUND, on=("far",), compared=("loss", "gradient")),
    "verl.kl.k3_straight_through": Ours(Kl(estimator="k2"), compared=("gradient",)),
    "verl.vanilla.kl": Ours(summed(Grpo(dual_clip=3.0), Kl(coefficient=0.04)), K3_BOUND, on=("far",)),
    "verl.vanilla.entropy": Ours(summed(Grpo(dual_clip=3.0), Entropy(coefficient=0.01))),
    "verl.vanilla.token_truncate": Ours(gradient_of(MEAN, DUAL, correction=Truncate(cap=1.25))),
    "verl.vanilla.sequence_truncate": Ours(gradient_of(MEAN, DUAL, correction=Truncate(level="sequence", cap=2.0))),
    "verl.vanilla.token_truncate.normalised": "not offered: weights divided by their mean over the batch",
    "verl.vanilla.reject_tokens": REJECTION,
    "verl.vanilla.reject_sequences": REJECTION,
    "verl.vanilla.reject_geometric": REJECTION,
    "verl.bypass.reinforce": "not offered: the ratio of the current policy to the sampler, without an old policy between",
    "verl.advantage.grpo": earns(STD),
    "verl.advantage.grpo.centred": earns(MEAN),
    "verl.advantage.grpo_vectorized": earns(STD),
}

PENDING = (
    "trl.cispo",
    "trl.cispo.tight_cap",
    "trl.sapo",
    "trl.gspo",
    "trl.gspo.wide",
    "trl.luspo",
    "trl.vespo",
    "trl.gmpo",
    "trl.dapo.top_entropy",
    "trl.dapo.top_entropy.kl",
    "trl.dapo.off_policy_mask",
    "trl.dapo.off_policy_mask.sampler",
    "trl.dapo.token_band",
    "trl.advantage.batch",
    "trl.advantage.gdpo",
    "trl.advantage.rloo",
    "verl.gspo",
    "verl.gspo.wide",
    "verl.sapo",
    "verl.gpg",
    "verl.cispo",
    "verl.cispo.cap_only",
    "verl.dppo_tv",
    "verl.dppo_tv.defaults",
    "verl.dppo_kl",
    "verl.geo_mean",
    "verl.dro",
    "verl.clip_cov",
    "verl.kl_cov",
    "verl.vanilla.token_band",
    "verl.vanilla.sequence_band",
    "verl.advantage.rloo",
    "verl.advantage.rloo_vectorized",
    "verl.advantage.reinforce_plus_plus",
    "verl.advantage.reinforce_plus_plus_baseline",
    "verl.advantage.opo",
    "verl.advantage.grpo_passk",
    "verl.advantage.grpo_passk.centred",
    "verl.advantage.gpg",
    "verl.advantage.gdpo",
)
"""The peers' numbers are stored; the component here is not built yet."""

CASES: Mapping[str, Ours | str] = {**TRL, **VERL, **dict.fromkeys(PENDING, "not built yet")}
