"""Centring of advantages within a group, so that coefficients on log P(y) sum to zero."""

import numpy as np

from prerl_spec.sdk import Array, Step, minus_mean


def centred(advantage_N: Array, weight_N: Array, step: Step) -> Array:
    """[N] A′ᵢ = Aᵢ − Σⱼ wⱼAⱼ / Σⱼ wⱼ over the group's samples, w the weight of each of a sample's tokens.

    The coefficient of log P(yᵢ) in the loss is −wᵢA′ᵢ (every token of a sample weighs the same), so that they sum to 0
    in each group: this removes the drift of log P(y) common to all samples (E[∇log π(y)] ≠ 0, since y is not sampled
    from π(y)). With equal weights it is the plain mean. Samples without weight are not counted, and stay 0.
    """
    tokens = step.tokens
    weight_S, advantage_S = np.zeros(tokens.num_samples), np.zeros(tokens.num_samples)
    weight_S[tokens.sample_N], advantage_S[tokens.sample_N] = weight_N, advantage_N
    for group in range(len(step.groups)):
        mine = np.flatnonzero((step.group_S == group) & (weight_S > 0))
        advantage_S[mine] = minus_mean(advantage_S[mine], weight_S[mine])
    return np.where(weight_N > 0, advantage_S[tokens.sample_N], 0.0)
