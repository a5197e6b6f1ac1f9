"""Sampling a token from logits: the decoding distribution, its entropy, and an inverse-CDF draw.

Axes: R rows, V vocabulary, K uniforms of a block, C chunks of the vocabulary, W tokens of a chunk.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from prerl_spec.sdk import Decoding

BLOCK = 64
"""Number of uniforms drawn at once from each sample's stream."""

MAX_ELEMENTS = 1 << 24
"""Maximum entries of [R, V] processed at once: the draw allocates a few arrays of this size besides the logits."""
CACHE_ELEMENTS = 1 << 19
"""The same on a CPU, where the arrays of a slice then stay in its cache from one pass to the next."""

CHUNK = 256
"""Tokens of a chunk."""
MAX_FLAT = 1024
"""Largest vocabulary whose cumulative distribution is computed token by token."""


class UniformStreams:
    """One stream of uniforms in [0, 1) per sample: a counter-based generator (Philox4x64-10, Salmon et al., SC 2011)
    keyed by the sample's seed, so that the t-th number depends on the seed and t only, in any batch."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [np.random.Generator(np.random.Philox(key=seed % (1 << 128))) for seed in seeds]

    def block(self, samples: Sequence[int]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """[len(samples), BLOCK]: the next uniforms of these samples' streams."""
        return np.stack([self._generators[s].random(BLOCK) for s in samples])


class Drawn(NamedTuple):
    """Tokens of R rows with their log-probabilities and the entropies of their distributions, both in nats."""

    token_R: Tensor
    logp_R: Tensor
    entropy_R: Tensor


def log_distribution(logits_RV: Tensor, decoding: Decoding) -> Tensor:
    """[R, V] float32 log-probabilities of the decoding distribution; -inf outside the kept tokens.

    log softmax(z / T) over the top_k most likely tokens (ties with the k-th are kept), then over the smallest set of most
    likely tokens with at least top_p of the remaining mass (Holtzman et al., arXiv:1904.09751), renormalised. At
    temperature 0 it is log softmax(z), from which greedy decoding takes the argmax.
    """
    z_RV = logits_RV.float()
    if decoding.temperature == 0:
        return torch.log_softmax(z_RV, dim=-1)
    if decoding.temperature != 1:
        z_RV = z_RV / decoding.temperature
    if 0 < decoding.top_k < z_RV.shape[-1]:
        kth_R1 = z_RV.topk(decoding.top_k, dim=-1).values[:, -1:]
        z_RV = z_RV.masked_fill(z_RV < kth_R1, -torch.inf)
    if decoding.top_p < 1:
        sorted_RV, order_RV = z_RV.sort(dim=-1, descending=True, stable=True)
        p_RV = sorted_RV.softmax(dim=-1)
        reached_before_RV = p_RV.cumsum(dim=-1) - p_RV >= decoding.top_p
        z_RV = z_RV.masked_fill(
            torch.zeros_like(reached_before_RV).scatter(-1, order_RV, reached_before_RV), -torch.inf
        )
    return torch.log_softmax(z_RV, dim=-1)


def draw(logits_RV: Tensor, decoding: Decoding, uniform_R: Tensor | None) -> Drawn:
    """One token per row: the first whose cumulative probability exceeds the row's uniform; the argmax without uniforms.

    Never a token of probability 0. Rows with non-finite logits get a NaN log-probability and an arbitrary token.
    """
    most = MAX_ELEMENTS if logits_RV.is_cuda else CACHE_ELEMENTS
    num_rows = max(1, most // logits_RV.shape[-1])
    parts = [
        _draw(logits_RV[i : i + num_rows], decoding, None if uniform_R is None else uniform_R[i : i + num_rows])
        for i in range(0, logits_RV.shape[0], num_rows)
    ]
    return parts[0] if len(parts) == 1 else Drawn(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _draw(logits_RV: Tensor, decoding: Decoding, uniform_R: Tensor | None) -> Drawn:
    logp_RV = log_distribution(logits_RV, decoding)
    vocabulary = logp_RV.shape[-1]
    if vocabulary <= MAX_FLAT:
        p_RV = chunked = logp_RV.exp()
    else:
        chunked = logp_RV.new_zeros(len(logp_RV), -(-vocabulary // CHUNK) * CHUNK)
        p_RV = torch.exp(logp_RV, out=chunked[:, :vocabulary])
    if uniform_R is None:
        token_R1 = logp_RV.argmax(dim=-1, keepdim=True)
    elif vocabulary <= MAX_FLAT:
        token_R1 = _first_above(p_RV, uniform_R[:, None])
    else:
        token_R1 = _first_above_by_chunks(chunked.view(len(chunked), -1, CHUNK), uniform_R[:, None])
    # In rows of NaN there is no such token.
    token_R1 = token_R1.clamp_max(vocabulary - 1)
    logp_R = logp_RV.gather(1, token_R1)[:, 0]
    # 0 * -inf is NaN; 0 * the lowest finite float32 is 0. In place: neither array is needed again.
    p_RV.mul_(logp_RV.clamp_min_(torch.finfo(torch.float32).min))
    # By chunks as well: several threads would share out one long sum where a slice has a single row, and only there.
    width = CHUNK if vocabulary > MAX_FLAT else vocabulary
    entropy_R = -chunked.reshape(len(chunked), -1, width).sum(dim=-1).sum(dim=-1)
    return Drawn(token_R1[:, 0], logp_R, entropy_R)


def _first_above(p_RV: Tensor, uniform_R1: Tensor) -> Tensor:
    """[R, 1]: the first token whose cumulative probability exceeds `uniform_R1` of the total.

    In float64: in float32 the sum over a large vocabulary drifts by more than the probability of rare tokens. The
    largest uniform is 1 - 2^-53, so its product with the total stays below the total.
    """
    cdf_RV = p_RV.cumsum(dim=-1, dtype=torch.float64)
    return torch.searchsorted(cdf_RV, uniform_R1 * cdf_RV[:, -1:], right=True)


def _first_above_by_chunks(p_RCW: Tensor, uniform_R1: Tensor) -> Tensor:
    """The same token from the sums of chunks and the cumulative distribution within one chunk of each row.

    The two orders of the same float64 sums differ by at most V 2^-53 of the total (1.7e-11 for 151,936 tokens; 1e-13 seen): a
    uniform nearer than that to the edge between two tokens may draw the other one, less than one draw in 1e8.
    """
    cdf_RC = functional.pad(p_RCW.sum(dim=-1, dtype=torch.float64).cumsum(dim=-1), (1, 0))
    target_R1 = uniform_R1 * cdf_RC[:, -1:]
    chunk_R1 = (torch.searchsorted(cdf_RC, target_R1, right=True) - 1).clamp(0, p_RCW.shape[1] - 1)
    p_RW = p_RCW.gather(1, chunk_R1[:, :, None].expand(-1, -1, CHUNK))[:, 0]
    cdf_RW = cdf_RC.gather(1, chunk_R1) + p_RW.cumsum(dim=-1, dtype=torch.float64)
    # The chunk's own sum was rounded in another order: the target may be at its end, behind which all have probability 0.
    below_end_R1 = torch.nextafter(cdf_RW[:, -1:], torch.zeros_like(target_R1))
    return chunk_R1 * CHUNK + torch.searchsorted(cdf_RW, target_R1.minimum(below_end_R1), right=True)
