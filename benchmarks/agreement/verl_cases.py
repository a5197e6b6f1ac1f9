"""The cases that run through verl's functions: fields of its configs, in its words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stored import UPDATES


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
