"""The bound on `sampler_gap`, the mean |trainer − sampler| log-probability of a step's sampled tokens: above it a run ends."""

from collections.abc import Mapping

import torch

from prerl_spec.errors import RunFailed
from prerl_spec.registry.kinds.sampler import ComparedSampler, OpenSampler
from prerl_spec.types import Decoding

FLOAT32_LIMIT = 1e-2
"""Nats per token: two sound float32 computations stay near 1e-6, with TF32 kernels near 1e-3."""

HALF_LIMIT = 0.1
"""Nats per token for 16-bit compute, where two sound computations differ by about 1e-2."""

LOWEST_TEMPERATURE = 0.1
"""Rounding of logits grows with 1/temperature; below this the sampled tokens are nearly certain, and it no longer does."""


def gap_limit(sampler: OpenSampler, decoding: Decoding, compute_dtype: torch.dtype) -> float | None:
    """The largest `sampler_gap` of a sound step in nats; None where truncation (top_p, top_k) makes the sampler's
    distribution another one than the policy's.

    A sampler that compares itself with the trainer after every push states its own bound; the bound of the dtype holds for
    all. Both are divided by a temperature below 1.
    """
    if decoding.top_p < 1 or decoding.top_k:
        return None
    limit = FLOAT32_LIMIT if compute_dtype == torch.float32 else HALF_LIMIT
    if isinstance(sampler, ComparedSampler):
        limit = sampler.gap_limit
    return limit / min(1.0, max(LOWEST_TEMPERATURE, decoding.temperature))


def refuse_gap(metrics: Mapping[str, float], limit: float | None, step: int) -> None:
    """Raises RunFailed if the step's `sampler_gap` is above the limit, or not a number."""
    gap = metrics.get("sampler_gap")
    if gap is None or limit is None or gap <= limit:
        return
    raise RunFailed(
        f"step {step}: the trainer's log-probabilities of the sampled tokens differ from the sampler's by {gap:.3g} nats per "
        f"token (sampler_gap); the limit is {limit:.3g}",
        hint="the samples are not those of the policy that is trained, so they are not trained on; the last checkpoint is "
        'unaffected. Re-run the same command; if it ends so again, try sampler = "transformers" or dtype = "float32"',
    )
