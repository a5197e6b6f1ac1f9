"""Loss aggregation: each token's weight is mask ÷ a named denominator, computed before any forward pass."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from prerl_spec.sdk import Array, Tokens

Aggregation = Literal["token_mean", "sequence_mean", "constant"]

AGGREGATION_WORDS = (
    "token_mean: equal weight per trained token; sequence_mean: equal weight per sample; "
    "constant: sum over tokens divided by samples x max_new_tokens"
)


def token_weights(
    aggregation: Aggregation, mask_N: npt.NDArray[np.bool_], tokens: Tokens, max_new_tokens: int
) -> tuple[Array, str]:
    """Weight of each token [N], and a description of its denominator.

    token_mean:     1 / N        N tokens of the update in the mask (DAPO, arXiv:2503.14476)
    sequence_mean:  1 / (S·T_i)  S samples with a token in the mask, T_i tokens of sample i in it (GRPO,
                                 arXiv:2402.03300, eq. 3)
    constant:       1 / (S·L)    L = max_new_tokens (Dr. GRPO, arXiv:2503.20783)

    A sample without a token in the mask does not count in S. With an empty mask every weight is 0, never 0/0.
    """
    length_S = np.bincount(tokens.sample_N[mask_N], minlength=tokens.num_samples)
    num_samples, num_tokens = int((length_S > 0).sum()), int(length_S.sum())
    if aggregation == "token_mean":
        denominator = f"tokens of the update: {num_tokens}"
        weight_S = np.full(tokens.num_samples, 1.0 / max(num_tokens, 1))
    elif aggregation == "sequence_mean":
        denominator = f"samples of the update x tokens of the sample: {num_samples} x T_i"
        weight_S = 1.0 / np.maximum(num_samples * length_S, 1)
    else:
        assert max_new_tokens > 0, "the constant aggregation divides by max_new_tokens, and the step has none"
        denominator = f"samples of the update x max_new_tokens: {num_samples} x {max_new_tokens}"
        weight_S = np.full(tokens.num_samples, 1.0 / (max(num_samples, 1) * max_new_tokens))
    return np.where(mask_N, weight_S[tokens.sample_N], 0.0), denominator
