"""The cases that run through TRL's trainers: fields of its configs, in its words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from stored import UPDATES


@dataclass(frozen=True)
class TrlCase:
    """`settings` are fields of TRL's config; `vllm`: the responses came from vLLM, as the importance ratios ask for."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    vllm: bool = False
    sampler_known: bool = False
    rewards: tuple[str, ...] = ("score",)
    trainer: str = "grpo"
    also: tuple[str, ...] = ()
    updates: int = 1


def centred(**settings: Any) -> Mapping[str, Any]:
    """Advantages without the division by the standard deviation, to which TRL adds 1e-4 where the others add 1e-6."""
    return MappingProxyType({**settings, "scale_rewards": "none"})


def corrected(name: str, **settings: Any) -> TrlCase:
    defaults = {"loss_type": "dapo", "vllm_importance_sampling_clip_max": 2.0}
    return TrlCase(name, centred(**defaults | settings), vllm=True)


CASES = (
    TrlCase("trl.defaults"),
    TrlCase("trl.grpo", centred(loss_type="grpo")),
    TrlCase("trl.grpo.group_std", {"loss_type": "grpo"}),
    TrlCase("trl.bnpo", centred(loss_type="bnpo")),
    TrlCase("trl.dr_grpo", centred(loss_type="dr_grpo")),
    TrlCase("trl.dapo", centred(loss_type="dapo", epsilon_high=0.28)),
    TrlCase("trl.dapo.delta", centred(loss_type="dapo", epsilon_high=0.28, delta=1.5)),
    TrlCase("trl.dapo.mask_truncated", centred(loss_type="dapo", mask_truncated_completions=True)),
    TrlCase("trl.grpo.mask_truncated", centred(loss_type="grpo", mask_truncated_completions=True)),
    TrlCase("trl.cispo", centred(loss_type="cispo", epsilon_high=5.0)),
    TrlCase("trl.cispo.tight_cap", centred(loss_type="cispo", epsilon_high=1.25)),
    TrlCase("trl.sapo", centred(loss_type="sapo")),
    TrlCase(
        "trl.gspo", centred(loss_type="grpo", importance_sampling_level="sequence", epsilon=3e-4, epsilon_high=4e-4)
    ),
    TrlCase("trl.gspo.wide", centred(loss_type="grpo", importance_sampling_level="sequence", epsilon=0.2)),
    TrlCase("trl.luspo", centred(loss_type="luspo", importance_sampling_level="sequence")),
    TrlCase("trl.vespo", centred(loss_type="vespo")),
    TrlCase("trl.gmpo", centred(), trainer="gmpo"),
    TrlCase("trl.grpo.kl", centred(loss_type="grpo", beta=0.04)),
    TrlCase("trl.grpo.kl.plain_k3", centred(loss_type="grpo", beta=0.04, use_bias_correction_kl=False)),
    TrlCase("trl.dapo.kl", centred(loss_type="dapo", beta=0.04)),
    TrlCase("trl.grpo.entropy", centred(loss_type="grpo", entropy_coef=0.01)),
    TrlCase("trl.dapo.top_entropy", centred(loss_type="dapo", top_entropy_quantile=0.2)),
    TrlCase("trl.dapo.top_entropy.kl", centred(loss_type="dapo", top_entropy_quantile=0.5, beta=0.04)),
    TrlCase("trl.dapo.off_policy_mask", centred(loss_type="dapo", off_policy_mask_threshold=0.1)),
    TrlCase(
        "trl.dapo.off_policy_mask.sampler",
        centred(loss_type="dapo", off_policy_mask_threshold=0.1),
        sampler_known=True,
        also=("first",),
    ),
    TrlCase("trl.grpo.updates", centred(loss_type="grpo"), updates=UPDATES),
    TrlCase("trl.dapo.updates", centred(loss_type="dapo"), updates=UPDATES),
    corrected("trl.dapo.token_truncate", vllm_importance_sampling_mode="token_truncate"),
    corrected("trl.dapo.token_mask", vllm_importance_sampling_mode="token_mask", vllm_importance_sampling_clip_max=1.5),
    corrected(
        "trl.dapo.token_band",
        vllm_importance_sampling_mode="token_mask",
        vllm_importance_sampling_clip_min=0.8,
        vllm_importance_sampling_clip_max=1.5,
    ),
    corrected("trl.dapo.sequence_truncate", vllm_importance_sampling_mode="sequence_truncate"),
    corrected("trl.dapo.sequence_mask", vllm_importance_sampling_mode="sequence_mask"),
    corrected(
        "trl.grpo.token_truncate.kl", loss_type="grpo", vllm_importance_sampling_mode="token_truncate", beta=0.04
    ),
    TrlCase("trl.advantage.group", also=("unscored",)),
    TrlCase("trl.advantage.batch", {"scale_rewards": "batch"}, also=("unscored",)),
    TrlCase("trl.advantage.none", {"scale_rewards": "none"}, also=("unscored",)),
    TrlCase("trl.advantage.sum_of_parts", {"reward_weights": [1.0, 0.5]}, rewards=("score", "format")),
    TrlCase(
        "trl.advantage.gdpo",
        {"multi_objective_aggregation": "normalize_then_sum", "reward_weights": [1.0, 0.5]},
        rewards=("score", "format"),
    ),
    TrlCase("trl.advantage.rloo", {"beta": 0.0}, trainer="rloo", also=("unscored",)),
    TrlCase(
        "trl.advantage.rloo.normalised", {"beta": 0.0, "normalize_advantages": True}, trainer="rloo", also=("unscored",)
    ),
)
"""`trl.advantage.…` is compared in its advantages alone, the others in loss and gradient as well."""
