"""Loss aggregation: each token's weight is mask ÷ a named denominator, computed before any forward pass."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from prerl_spec.sdk import Array, Tokens

Aggregation = Literal["token_mean", "sequence_mean", "constant"]


def token_weights(
    aggregation: Aggregation, mask_S: npt.NDArray[np.bool_], tokens: Tokens, max_new_tokens: int
) -> tuple[Array, str]:
    """Weight of each token [N], and a description of its denominator.

    token_mean:     1 / N        N trained tokens of the update's samples in the mask (DAPO, arXiv:2503.14476)
    sequence_mean:  1 / (S·T_i)  S samples in the mask, T_i tokens of sample i (GRPO, arXiv:2402.03300, eq. 3)
    constant:       1 / (S·L)    L = max_new_tokens (Dr. GRPO, arXiv:2503.20783)

    A sample without a trained token does not count in S. With an empty mask every weight is 0, never 0/0.
    """
    mask_S = mask_S & (tokens.length_S > 0)
    length_s = tokens.length_S[mask_S]
    num_samples, num_tokens = len(length_s), int(length_s.sum())
    weight_S = np.zeros(tokens.num_samples)
    if aggregation == "token_mean":
        denominator = f"tokens of the update: {num_tokens}"
        weight_S[mask_S] = 1.0 / max(num_tokens, 1)
    elif aggregation == "sequence_mean":
        denominator = f"samples of the update x tokens of the sample: {num_samples} x T_i"
        weight_S[mask_S] = 1.0 / (num_samples * length_s)
    else:
        assert max_new_tokens > 0, "the constant aggregation divides by max_new_tokens, and the step has none"
        denominator = f"samples of the update x max_new_tokens: {num_samples} x {max_new_tokens}"
        weight_S[mask_S] = 1.0 / (max(num_samples, 1) * max_new_tokens)
    return weight_S[tokens.sample_N], denominator
