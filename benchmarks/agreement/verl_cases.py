"""verl's own functions on a stored batch: an advantage estimator, a rollout correction, a policy loss, a KL penalty.

They are put together as verl's driver and actor do it (`ray_trainer.fit`, `workers/utils/losses.ppo_loss`): the correction
first, which may take tokens out of the response mask; then the advantages on that mask; then the policy loss with the numbers
of the whole batch as denominators; then the KL loss and the entropy bonus under the same aggregation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from stored import UPDATES, USUAL, Stored, loss_and_gradients
from verl.trainer.config import AlgoConfig
from verl.trainer.ppo.core_algos import agg_loss, get_adv_estimator_fn, get_policy_loss_fn, kl_penalty
from verl.trainer.ppo.rollout_corr_helper import compute_rollout_correction_and_rejection_mask
from verl.workers.config import ActorConfig
from verl.workers.config.actor import PolicyLossConfig

SOURCES = (
    "verl/trainer/ppo/core_algos.py",
    "verl/trainer/ppo/rollout_corr_helper.py",
    "verl/utils/torch_functional.py",
)


@dataclass(frozen=True)
class VerlCase:
    """`actor` and `policy_loss` are fields of verl's ActorConfig and PolicyLossConfig; `correction`: rollout correction."""

    name: str
    loss: str | None = None
    estimator: str = "grpo"
    actor: Mapping[str, Any] = field(default_factory=dict)
    policy_loss: Mapping[str, Any] = field(default_factory=dict)
    correction: Mapping[str, Any] = field(default_factory=dict)
    norm_by_std: bool = True
    kl: str | None = None
    bypass: bool = False
    updates: int = 1
    rewards: Mapping[str, float] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """What the table shows."""
        shown: dict[str, Any] = {} if self.kl and not self.loss else {"adv_estimator": self.estimator}
        shown |= {"loss_mode": self.loss} if self.loss else {}
        shown |= {**self.actor, **self.policy_loss, **self.correction}
        if not self.norm_by_std:
            shown["norm_adv_by_std_in_grpo"] = False
        if self.kl:
            shown["kl_loss_type"] = self.kl
        if self.updates > 1:
            shown |= {"ppo_mini_batch_size": "a third of train_batch_size"}
        if self.rewards:
            shown |= {"gdpo_reward_keys": list(self.rewards), "gdpo_reward_weights": list(self.rewards.values())}
        return shown


SEQUENCES = "seq-mean-token-mean"


def aggregated(mode: str, **actor: Any) -> VerlCase:
    return VerlCase(f"verl.vanilla.{mode}", "vanilla", actor={"loss_agg_mode": mode, **actor})


def estimated(estimator: str, suffix: str = "", **more: Any) -> VerlCase:
    return VerlCase(f"verl.advantage.{estimator}{suffix}", estimator=estimator, **more)


def corrected(name: str, **correction: Any) -> VerlCase:
    return VerlCase(f"verl.vanilla.{name}", "vanilla", correction=correction, norm_by_std=False)


CASES = (
    VerlCase("verl.defaults", "vanilla"),
    aggregated("token-sum"),
    aggregated("seq-mean-token-mean"),
    aggregated("seq-mean-token-sum"),
    aggregated("seq-mean-token-sum-norm", loss_scale_factor=12),
    VerlCase("verl.vanilla.dual_clip", "vanilla", actor={"clip_ratio_c": 1.5}),
    VerlCase("verl.vanilla.clip_higher", "vanilla", actor={"clip_ratio_high": 0.28}),
    VerlCase("verl.gspo", "gspo", actor={"clip_ratio_low": 3e-4, "clip_ratio_high": 4e-4, "loss_agg_mode": SEQUENCES}),
    VerlCase("verl.gspo.wide", "gspo", actor={"loss_agg_mode": SEQUENCES}),
    VerlCase("verl.sapo", "sapo"),
    VerlCase("verl.gpg", "gpg", estimator="gpg"),
    VerlCase("verl.plain", "gpg", norm_by_std=False),
    VerlCase("verl.cispo", "cispo"),
    VerlCase("verl.cispo.cap_only", "cispo", actor={"clip_ratio_low": 1.0, "clip_ratio_high": 4.0}),
    VerlCase("verl.dppo_tv", "dppo_tv", actor={"clip_ratio_low": 0.1, "clip_ratio_high": 0.1, "clip_ratio_c": 20.0}),
    VerlCase("verl.dppo_tv.defaults", "dppo_tv"),
    VerlCase("verl.dppo_kl", "dppo_kl", actor={"clip_ratio_low": 0.05, "clip_ratio_high": 0.05, "clip_ratio_c": 20.0}),
    VerlCase("verl.geo_mean", "geo_mean", actor={"clip_ratio_low": 0.4, "clip_ratio_high": 0.4}),
    VerlCase("verl.dro", "dro", policy_loss={"dro_beta": 0.1}),
    # Wide enough that every candidate is taken: verl draws among them at random.
    VerlCase("verl.clip_cov", "clip_cov", policy_loss={"clip_cov_ratio": 0.9, "clip_cov_lb": 0.5, "clip_cov_ub": 5.0}),
    VerlCase("verl.kl_cov", "kl_cov", policy_loss={"kl_cov_ratio": 0.1, "ppo_kl_coef": 1.0}),
    VerlCase("verl.kl.k1", kl="k1"),
    VerlCase("verl.kl.k2", kl="k2"),
    VerlCase("verl.kl.k3", kl="k3"),
    VerlCase("verl.kl.k3.sequences", kl="k3", actor={"loss_agg_mode": SEQUENCES}),
    VerlCase("verl.kl.k3_straight_through", kl="k3+"),
    VerlCase("verl.vanilla.kl", "vanilla", kl="low_var_kl", actor={"kl_loss_coef": 0.04, "loss_agg_mode": SEQUENCES}),
    VerlCase("verl.vanilla.entropy", "vanilla", actor={"entropy_coeff": 0.01, "loss_agg_mode": SEQUENCES}),
    VerlCase("verl.vanilla.updates", "vanilla", updates=UPDATES),
    corrected("token_truncate", rollout_is="token", rollout_is_threshold=1.25),
    corrected("sequence_truncate", rollout_is="sequence", rollout_is_threshold=2.0),
    corrected("token_band", rollout_is="token", rollout_is_threshold="0.8_1.5"),
    corrected("sequence_band", rollout_is="sequence", rollout_is_threshold="0.5_2.0"),
    corrected(
        "token_truncate.normalised", rollout_is="token", rollout_is_threshold=1.25, rollout_is_batch_normalize=True
    ),
    corrected("reject_tokens", rollout_rs="token_k1", rollout_rs_threshold="0.8_1.25"),
    corrected("reject_sequences", rollout_rs="seq_sum_k1", rollout_rs_threshold="0.5_2.0"),
    corrected("reject_geometric", rollout_rs="seq_mean_k1", rollout_rs_threshold="0.9_1.1"),
    VerlCase(
        "verl.bypass.reinforce",
        "bypass_mode",
        bypass=True,
        norm_by_std=False,
        correction={"loss_type": "reinforce", "rollout_is": "token", "rollout_is_threshold": 2.0},
    ),
    estimated("grpo"),
    estimated("grpo", ".centred", norm_by_std=False),
    estimated("grpo_vectorized"),
    estimated("rloo"),
    estimated("rloo_vectorized"),
    estimated("reinforce_plus_plus"),
    estimated("reinforce_plus_plus_baseline"),
    estimated("opo"),
    estimated("grpo_passk"),
    estimated("grpo_passk", ".centred", norm_by_std=False),
    estimated("gpg"),
    estimated("gdpo", rewards={"score": 1.0, "format": 0.5}),
)
"""`verl.advantage.…` is compared in its advantages alone; `verl.kl.…` is the KL loss alone, at coefficient 1."""


def actor_config(case: VerlCase, batch: Stored, num_samples: int, num_tokens: float) -> Any:
    correction = {"rollout_correction": dict(case.correction)} if case.bypass else {}
    config = ActorConfig(
        strategy="fsdp",
        rollout_n=batch.group_size,
        ppo_micro_batch_size_per_gpu=batch.num_samples,
        use_torch_compile=False,
        policy_loss=PolicyLossConfig(loss_mode=case.loss or "vanilla", **case.policy_loss, **correction),
        **case.actor,
    )
    config.global_batch_info.update(
        dp_size=1,
        batch_num_tokens=num_tokens,
        global_batch_size=num_samples,
        loss_scale_factor=config.loss_scale_factor,
    )
    return config


def advantages(case: VerlCase, batch: Stored, mask: torch.Tensor) -> torch.Tensor:
    """[S, T] by the estimator, which is given the score on the last token of each response, as verl's reward managers do."""
    last = torch.tensor(batch.length_S) - 1
    token_rewards = torch.zeros_like(mask)
    token_rewards[torch.arange(batch.num_samples), last] = torch.tensor(batch.reward_S, dtype=torch.float32)
    config = AlgoConfig(norm_adv_by_std_in_grpo=case.norm_by_std)
    arguments: dict[str, Any] = {
        "token_level_rewards": token_rewards,
        "response_mask": mask,
        "index": np.arange(batch.num_samples) // batch.group_size,
        "config": config,
    }
    if case.estimator in ("grpo", "grpo_vectorized"):
        arguments["norm_adv_by_std_in_grpo"] = case.norm_by_std
    if case.rewards:
        full = torch.ones(batch.num_samples, 1, dtype=torch.int64)
        arguments |= {
            "config": {"gdpo_reward_keys": list(case.rewards), "gdpo_reward_weights": list(case.rewards.values())},
            "non_tensor_batch": {key: np.array(batch.parts_S[key]) for key in case.rewards},
            "batch": {"prompts": full, "attention_mask": torch.cat([full, batch.mask.long()], dim=1)},
        }
    result: torch.Tensor = get_adv_estimator_fn(case.estimator)(**arguments)[0]
    return result


def run(case: VerlCase, batches: list[Stored]) -> list[dict[str, Any]]:
    """The case on each batch, with verl's advantages, loss and gradient."""
    return [one(case, batch) for batch in batches if batch.name in USUAL]


def one(case: VerlCase, batch: Stored) -> dict[str, Any]:
    mask, weights = batch.mask, None
    old, sampler = batch.padded(batch.old_N), batch.padded(batch.sampler_N)
    if case.correction and not case.bypass:
        packed, mask, _ = compute_rollout_correction_and_rejection_mask(old, sampler, mask, **case.correction)
        weights = None if packed is None else packed.batch["rollout_is_weights"]
    advantage = advantages(case, batch, mask)
    record: dict[str, Any] = {"case": case.name, "batch": batch.name, "advantage_S": per_sample(advantage, mask)}
    if case.loss is None and case.kl is None:
        return record
    leaves = batch.leaves()
    current, entropy = map(batch.padded, leaves)
    reference, loss = batch.padded(batch.reference_N), torch.zeros(())
    for rows in batch.rows_of_updates(case.updates):
        data = {
            "log_prob": current[rows],
            "old_log_prob": (sampler if case.bypass else old)[rows],
            "advantages": advantage[rows],
            "response_mask": mask[rows],
            "rollout_is_weights": None if weights is None else weights[rows],
        }
        loss = loss + of_update(case, batch, data, reference[rows], entropy[rows])
    return record | loss_and_gradients(loss, leaves)


def of_update(
    case: VerlCase, batch: Stored, data: dict[str, Any], reference: torch.Tensor, entropy: torch.Tensor
) -> torch.Tensor:
    """As `ppo_loss`: the policy loss, the entropy bonus and the KL loss, with the update's own numbers as denominators."""
    mask = data["response_mask"]
    config = actor_config(case, batch, len(mask), mask.sum().item())
    loss = torch.zeros(())
    if case.loss is not None:
        torch.manual_seed(0)
        loss, _ = get_policy_loss_fn(case.loss)(**data, loss_agg_mode=config.loss_agg_mode, config=config)
    if config.entropy_coeff:
        loss = loss - config.entropy_coeff * agg_loss(entropy, mask, config.loss_agg_mode, **config.global_batch_info)
    if case.kl is not None:
        penalty = kl_penalty(data["log_prob"], reference, case.kl)
        term = agg_loss(penalty, mask, config.loss_agg_mode, **config.global_batch_info)
        loss = term if case.loss is None else loss + term * config.kl_loss_coef
    return loss


def per_sample(advantage: torch.Tensor, mask: torch.Tensor) -> list[float]:
    """[S]: every estimator compared here gives all tokens of a response one advantage; 0 where no token is left."""
    values = []
    for row, kept in zip(advantage, mask.bool(), strict=True):
        some = row[kept]
        assert some.numel() == 0 or torch.allclose(some, some[0].expand_as(some), atol=1e-6)
        values.append(float(some[0]) if some.numel() else 0.0)
    return values
