"""For each case of TRL's, the same thing in our words: an objective, or the reason why there is none."""

from collections.abc import Mapping

from prerl_components.advantages.batch_std import BatchStd
from prerl_components.advantages.gdpo import Gdpo
from prerl_components.advantages.leave_one_out import LeaveOneOut
from prerl_components.corrections.band import Band
from prerl_components.corrections.mask import Mask
from prerl_components.corrections.sequence_mask import SequenceMask
from prerl_components.corrections.truncate import Truncate
from prerl_components.objectives.presets.group_relative import Dapo, DrGrpo, Grpo
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.selections.top_entropy import TopEntropy
from prerl_components.surrogates.cispo import Cispo
from prerl_components.surrogates.clip import Clip
from prerl_components.surrogates.gspo import Gspo
from prerl_components.surrogates.sapo import Sapo

from tests.components.agreement.ours import MEAN, STD, Ours, earns, gradient_of, summed
from tests.components.agreement.zoo import Gmpo, Luspo, Vespo

TWO_PARTS = {"score": 1.0, "format": 0.5}
STD_EPSILON = "TRL adds 1e-4 to the standard deviation; the papers nothing, verl 1e-6, as here"
TOP_ENTROPY = (
    "TRL ranks the tokens of all responses and still divides by all; here only tokens with A ≠ 0 are ranked and counted"
)
OFF_POLICY = (
    "TRL measures from the current policy, as DeepSeek-V3.2's eq. 9; here from the policy before the batch, the same at its "
    "first update"
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
    "trl.cispo": Ours(gradient_of(MEAN, Cispo(cap=5.0))),
    "trl.cispo.tight_cap": Ours(gradient_of(MEAN, Cispo(cap=1.25))),
    "trl.sapo": Ours(gradient_of(MEAN, Sapo(), "sequence_mean")),
    "trl.gspo": Ours(gradient_of(MEAN, Gspo(), "sequence_mean")),
    "trl.gspo.wide": Ours(gradient_of(MEAN, Gspo(clip_low=0.2, clip_high=0.2), "sequence_mean")),
    "trl.luspo": Ours(gradient_of(MEAN, Luspo(clip_low=0.2, clip_high=0.2), "sequence_mean")),
    "trl.vespo": Ours(gradient_of(MEAN, Vespo())),
    "trl.gmpo": Ours(gradient_of(MEAN, Gmpo(), "sequence_mean")),
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
