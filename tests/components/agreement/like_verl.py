"""For each case of verl's, the same thing in our words: an objective, or the reason why there is none."""

from collections.abc import Mapping

from prerl_components.advantages.batch_whitened import BatchWhitened
from prerl_components.advantages.best_of_group import BestOfGroup
from prerl_components.advantages.gdpo import Gdpo
from prerl_components.advantages.leave_one_out import LeaveOneOut
from prerl_components.advantages.length_weighted import LengthWeighted
from prerl_components.advantages.nonzero_scaled import NonzeroScaled
from prerl_components.corrections.band import Band
from prerl_components.corrections.truncate import Truncate
from prerl_components.objectives.presets.group_relative import Dapo, Grpo
from prerl_components.objectives.presets.reinforce import Gpg
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.selections.cov_mask import CovMask
from prerl_components.surrogates.cispo import Cispo
from prerl_components.surrogates.clip import Clip
from prerl_components.surrogates.dppo import Dppo
from prerl_components.surrogates.gspo import Gspo
from prerl_components.surrogates.plain import Plain
from prerl_components.surrogates.sapo import Sapo

from tests.components.agreement.ours import MEAN, STD, Ours, earns, gradient_of, summed
from tests.components.agreement.zoo import Dro, Gmpo

DUAL = Clip(dual_clip=3.0)
"""verl's `vanilla`: its dual clip of 3 is always on."""
K3_BOUND = "verl cuts k3 at 10, without a gradient beyond; Schulman's estimator has no bound"
REJECTION = (
    "verl takes rejected tokens out of the response mask, hence out of every denominator, and weighs the others 1; a "
    "`mask` or `band` here weighs them by w, and the denominator stays, as in TRL and in IcePop"
)
GPG_ALPHA = "verl's α is samples ÷ samples of reward ≠ 0; GPG's is samples ÷ samples in groups with signal, as here"

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
    "verl.geo_mean": Ours(gradient_of(STD, Gmpo(), "sequence_mean")),
    "verl.dro": Ours(
        gradient_of(STD, Dro(beta=0.1)), "verl squares each token's log-ratio; DRO that of the response, as here"
    ),
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
