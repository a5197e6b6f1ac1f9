"""For each case of the peers, the same thing in our words: an objective, or the reason why there is none.

`differs` says on purpose: what differs, and whose formula is the paper's; `on` names the batches where it shows, if not on all.
The test requires that a case differs there, and agrees elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prerl_components.advantages.batch_std import BatchStd
from prerl_components.advantages.batch_whitened import BatchWhitened
from prerl_components.advantages.best_of_group import BestOfGroup
from prerl_components.advantages.gdpo import Gdpo
from prerl_components.advantages.group_mean import GroupMean
from prerl_components.advantages.group_std import GroupStd
from prerl_components.advantages.leave_one_out import LeaveOneOut
from prerl_components.advantages.length_weighted import LengthWeighted
from prerl_components.advantages.nonzero_scaled import NonzeroScaled
from prerl_components.corrections.band import Band
from prerl_components.corrections.mask import Mask
from prerl_components.corrections.sequence_mask import SequenceMask
from prerl_components.corrections.truncate import Truncate
from prerl_components.objectives.aggregation import Aggregation
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.objectives.presets.group_relative import Dapo, DrGrpo, Grpo
from prerl_components.objectives.presets.reinforce import Gpg
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.objectives.weighted_sum import WeightedSum
from prerl_components.selections.cov_mask import CovMask
from prerl_components.selections.top_entropy import TopEntropy
from prerl_components.surrogates.cispo import Cispo
from prerl_components.surrogates.clip import Clip
from prerl_components.surrogates.dppo import Dppo
from prerl_components.surrogates.gspo import Gspo
from prerl_components.surrogates.plain import Plain
from prerl_components.surrogates.sapo import Sapo

Part = Literal["loss", "gradient", "advantage"]


@dataclass(frozen=True)
class Ours:
    """An objective, the parts of a reward that it trains on, and what of it is compared."""

    objective: Any
    differs: str = ""
    on: tuple[str, ...] = ()
    updates: int = 1
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
STD_EPSILON = "TRL adds 1e-4 to the standard deviation; the papers nothing, verl 1e-6, as here"
K3_BOUND = "verl cuts k3 at 10, without a gradient beyond; Schulman's estimator has no bound"
REJECTION = (
    "verl takes rejected tokens out of the response mask, hence out of every denominator, and weighs the others 1; a "
    "`mask` or `band` here weighs them by w, and the denominator stays, as in TRL and in IcePop"
)

TOP_ENTROPY = (
    "TRL ranks the tokens of all responses and still divides by all; here only tokens with A ≠ 0 are ranked and counted"
)
OFF_POLICY = (
    "TRL measures from the current policy, as DeepSeek-V3.2's eq. 9; here from the policy before the batch, the same at its "
    "first update"
)
GPG_ALPHA = "verl's α is samples ÷ samples of reward ≠ 0; GPG's is samples ÷ samples in groups with signal, as here"
ZOO = "in plugins/prerl-zoo, which is tested by laws"

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
    "trl.cispo": Ours(gradient_of(MEAN, Cispo(cap=5.0))),
    "trl.cispo.tight_cap": Ours(gradient_of(MEAN, Cispo(cap=1.25))),
    "trl.sapo": Ours(gradient_of(MEAN, Sapo(), "sequence_mean")),
    "trl.gspo": Ours(gradient_of(MEAN, Gspo(), "sequence_mean")),
    "trl.gspo.wide": Ours(gradient_of(MEAN, Gspo(clip_low=0.2, clip_high=0.2), "sequence_mean")),
    "trl.luspo": ZOO,
    "trl.vespo": ZOO,
    "trl.gmpo": ZOO,
    "trl.dapo.top_entropy": Ours(gradient_of(MEAN, Clip(), selection=(TopEntropy(share=0.2),)), TOP_ENTROPY),
    "trl.dapo.top_entropy.kl": Ours(
        summed(gradient_of(MEAN, Clip(), selection=(TopEntropy(share=0.5),)), Kl(coefficient=0.04, gradient="ratio")),
        TOP_ENTROPY,
    ),
    "trl.dapo.off_policy_mask": "not offered: without a sampler TRL measures how far the policy has moved",
    "trl.dapo.off_policy_mask.sampler": Ours(
        gradient_of(MEAN, Clip(), correction=SequenceMask(delta=0.1)), OFF_POLICY, on=("near", "far", "graded")
    ),
    "trl.dapo.token_band": Ours(gradient_of(MEAN, Clip(), correction=Band(low=0.8, high=1.5))),
    "trl.advantage.batch": earns(BatchStd(), STD_EPSILON),
    "trl.advantage.rloo": earns(LeaveOneOut()),
    "trl.advantage.gdpo": earns(Gdpo(weights={"format": 0.5}), STD_EPSILON, rewards={"score": 1.0, "format": 1.0}),
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
    "trl.grpo.updates": Ours(gradient_of(MEAN, Clip(), "sequence_mean"), updates=3),
    "trl.dapo.updates": Ours(
        gradient_of(MEAN, Clip()),
        "TRL divides by a third of the tokens of all three updates; here, in verl and in DAPO's formula an update divides by "
        "its own",
        updates=3,
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
    "verl.gspo": Ours(gradient_of(STD, Gspo(), "sequence_mean")),
    "verl.gspo.wide": Ours(gradient_of(STD, Gspo(clip_low=0.2, clip_high=0.2), "sequence_mean")),
    "verl.sapo": Ours(gradient_of(STD, Sapo(), "sequence_mean")),
    "verl.gpg": Ours(Gpg(), GPG_ALPHA),
    "verl.cispo": Ours(
        gradient_of(STD, Cispo(cap=1.2)), "verl's floor of 0.8 under the ratio; MiniMax-M1 and TRL have none"
    ),
    "verl.cispo.cap_only": Ours(gradient_of(STD, Cispo(cap=5.0))),
    "verl.dppo_tv": Ours(gradient_of(STD, Dppo(threshold=0.1, cap=20.0))),
    "verl.dppo_tv.defaults": Ours(gradient_of(STD, Dppo(threshold=0.2, cap=3.0))),
    "verl.dppo_kl": Ours(gradient_of(STD, Dppo(distance="kl", threshold=0.05, cap=20.0))),
    "verl.geo_mean": ZOO,
    "verl.dro": ZOO,
    "verl.clip_cov": Ours(
        gradient_of(STD, Clip(), selection=(CovMask(share=0.9, low=0.5, high=5.0),)),
        "verl ranks by the current policy and by means over all tokens, tokens that the clip already bounds left out; here by "
        "the policy before the batch, over the tokens with A ≠ 0",
    ),
    "verl.kl_cov": "not offered: a loss |log π − log π_old| on the selected tokens, and no clip",
    "verl.kl.k1": Ours(Kl(estimator="k1"), compared=("loss", "gradient")),
    "verl.kl.k2": Ours(Kl(estimator="k2"), compared=("loss", "gradient")),
    "verl.kl.k3": Ours(Kl(), K3_BOUND, on=("far",), compared=("loss", "gradient")),
    "verl.kl.k3.sequences": Ours(Kl(aggregation="sequence_mean"), K3_BOUND, on=("far",), compared=("loss", "gradient")),
    "verl.kl.k3_straight_through": Ours(Kl(estimator="k2"), compared=("gradient",)),
    "verl.vanilla.kl": Ours(summed(Grpo(dual_clip=3.0), Kl(coefficient=0.04)), K3_BOUND, on=("far",)),
    "verl.vanilla.entropy": Ours(summed(Grpo(dual_clip=3.0), Entropy(coefficient=0.01))),
    "verl.vanilla.updates": Ours(gradient_of(STD, DUAL), updates=3),
    "verl.vanilla.token_truncate": Ours(gradient_of(MEAN, DUAL, correction=Truncate(cap=1.25))),
    "verl.vanilla.sequence_truncate": Ours(gradient_of(MEAN, DUAL, correction=Truncate(level="sequence", cap=2.0))),
    "verl.vanilla.token_band": Ours(gradient_of(MEAN, DUAL, correction=Band(low=0.8, high=1.5))),
    "verl.vanilla.sequence_band": Ours(gradient_of(MEAN, DUAL, correction=Band(level="sequence", low=0.5, high=2.0))),
    "verl.vanilla.token_truncate.normalised": "not offered: weights divided by their mean over the batch",
    "verl.vanilla.reject_tokens": REJECTION,
    "verl.vanilla.reject_sequences": REJECTION,
    "verl.vanilla.reject_geometric": REJECTION,
    "verl.bypass.reinforce": "not offered: the ratio of the current policy to the sampler, without an old policy between",
    "verl.advantage.grpo": earns(STD),
    "verl.advantage.grpo.centred": earns(MEAN),
    "verl.advantage.grpo_vectorized": earns(STD),
    "verl.advantage.rloo": earns(LeaveOneOut()),
    "verl.advantage.rloo_vectorized": earns(LeaveOneOut()),
    "verl.advantage.reinforce_plus_plus": earns(BatchWhitened()),
    "verl.advantage.reinforce_plus_plus_baseline": earns(BatchWhitened(baseline=True)),
    "verl.advantage.opo": earns(LengthWeighted()),
    "verl.advantage.grpo_passk": earns(
        BestOfGroup(), "verl divides by the group's standard deviation unless told otherwise; the paper does not"
    ),
    "verl.advantage.grpo_passk.centred": earns(BestOfGroup()),
    "verl.advantage.gpg": earns(NonzeroScaled(), GPG_ALPHA),
    "verl.advantage.gdpo": earns(
        Gdpo(weights={"format": 0.5}),
        "verl whitens over tokens, so that a group of equal rewards earns something; the paper and TRL, over samples",
        rewards={"score": 1.0, "format": 1.0},
    ),
}

CASES: Mapping[str, Ours | str] = {**TRL, **VERL}
