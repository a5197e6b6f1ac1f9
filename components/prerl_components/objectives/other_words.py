"""Keys that objectives elsewhere have and ours do not: what to write instead, shown as the help of the error.

Names in other frameworks are those of TRL's GRPOConfig and of verl's actor and algorithm settings.
"""

from collections.abc import Mapping

_PENALTY = "add the term `kl` in a `weighted_sum`: its coefficient is beta"
_BONUS = "add the term `entropy` in a `weighted_sum`: its coefficient is this one"
_AGGREGATION = 'here `aggregation`: "token_mean", "sequence_mean" or "constant"'
_SCALE = "the advantage decides: `group_std` divides by the std, `group_mean` does not; choose with `policy_gradient`"

OF_GRADIENTS: Mapping[str, str] = {
    **dict.fromkeys(("beta", "kl_coef", "kl_loss_coef"), _PENALTY),
    **dict.fromkeys(("entropy_coef", "entropy_coeff", "entropy_loss_coef"), _BONUS),
    **dict.fromkeys(("loss_type", "loss_agg_mode"), _AGGREGATION),
    **dict.fromkeys(("scale_rewards", "norm_adv_by_std_in_grpo"), _SCALE),
    "num_generations": "here `group_size`, in the sampler",
    "num_iterations": "a batch is trained on once: `updates_per_batch`, in the phase, splits it into that many updates",
    "importance_sampling_level": "the ratio of whole responses is the surrogate `gspo`, and the objective `gspo`",
    "coefficient": "leave the term out, or use `nothing`, which trains nothing",
}
"""Of every policy gradient. Under a setting of its own: what is right where its value is refused."""

OF_PRESETS: Mapping[str, str] = {
    **OF_GRADIENTS,
    "view": "a preset's view is fixed: use `marginal_pg`, or `policy_gradient` with `view`",
    "correction": 'in a preset: importance = "truncate" or "mask"; `policy_gradient` has `correction`',
    **{
        part: f"a preset's {part} is fixed: `policy_gradient` with `{part}`; `components show` prints the preset's parts"
        for part in ("advantage", "surrogate", "selection")
    },
}

OF_PARTS: Mapping[str, str] = {
    **OF_GRADIENTS,
    **dict.fromkeys(
        ("clip_low", "clip_high", "dual_clip", "epsilon", "epsilon_high", "clip_ratio"),
        'the surrogate has it: `surrogate = { use = "clip", clip_low = ..., clip_high = ..., dual_clip = ... }`',
    ),
    **dict.fromkeys(("importance", "importance_cap"), 'here `correction = "truncate"` or "mask", with its `cap`'),
    "prefix": 'the view has it: `view = { use = "marginal", prefix = "auto" }`',
}
"""Of `policy_gradient`, whose parts have settings of their own."""

OF_CLIPPED: Mapping[str, str] = {
    **OF_PRESETS,
    **dict.fromkeys(("epsilon", "clip_ratio"), "here `clip_low` and `clip_high`"),
    **dict.fromkeys(("epsilon_high", "clip_ratio_high"), "here `clip_high`"),
    "clip_ratio_low": "here `clip_low`",
    **dict.fromkeys(("delta", "clip_ratio_c"), "here `dual_clip`"),
}


def without_ratio(advantage: str) -> Mapping[str, str]:
    """Of a preset whose surrogate is `plain`, with the name of its advantage."""
    bounds = ("clip_low", "clip_high", "dual_clip", "epsilon", "epsilon_high", "clip_ratio", "cap")
    words = f'`plain` has no ratio: `policy_gradient` with advantage = "{advantage}", surrogate = "clip"'
    return {**OF_PRESETS, **dict.fromkeys(bounds, words)}
