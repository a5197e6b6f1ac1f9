"""verl's own functions on a stored batch: an advantage estimator, a rollout correction, a policy loss, a KL penalty.

They are put together as verl's driver and actor do it (`ray_trainer.fit`, `workers/utils/losses.ppo_loss`): the correction
first, which may take tokens out of the response mask; then the advantages on that mask; then the policy loss with the numbers
of the whole batch as denominators; then the KL loss and the entropy bonus under the same aggregation.
"""

from typing import Any

import numpy as np
import torch
from stored import USUAL, Stored, loss_and_gradients
from verl.trainer.config import AlgoConfig
from verl.trainer.ppo.core_algos import agg_loss, get_adv_estimator_fn, get_policy_loss_fn, kl_penalty
from verl.trainer.ppo.rollout_corr_helper import compute_rollout_correction_and_rejection_mask
from verl.workers.config import ActorConfig
from verl.workers.config.actor import PolicyLossConfig
from verl_cases import VerlCase

SOURCES = (
    "verl/trainer/ppo/core_algos.py",
    "verl/trainer/ppo/rollout_corr_helper.py",
    "verl/utils/torch_functional.py",
)


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
