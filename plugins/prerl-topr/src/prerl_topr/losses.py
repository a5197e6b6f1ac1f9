"""The per-token loss of TOPR, in torch: inputs [n] are log-probabilities in nats, whole samples."""

import math

import torch
from torch import Tensor


def tapered_loss(logp_n: Tensor, old_logp_n: Tensor, advantage_n: Tensor, sample_n: Tensor, *, taper: float) -> Tensor:
    """[n] loss −α·A·log π(y_t), α = 1 where A ≥ 0, else sg[min(π(y)/μ(y), b)] of the whole response.

    ∇J = Σ_{R ≥ 0} μ(y) R ∇log π(y) + Σ_{R < 0} μ(y) [π(y)/μ(y)]_0^b R ∇log π(y): arXiv:2503.14286, section 3, b = 1.
    The ratio of a response is the product of its tokens', exp(Σ_t log π − log μ); μ is the policy at the start of the
    batch. `sample_n` is the index of each token's sample.
    """
    gap_n = logp_n.detach() - old_logp_n.detach()
    num_samples = int(sample_n.max()) + 1 if len(sample_n) else 0
    log_ratio_s = torch.zeros(num_samples, dtype=gap_n.dtype, device=gap_n.device).index_add(0, sample_n, gap_n)
    # Tapered before exp, which would overflow for a response that has become much more likely.
    ratio_s = torch.exp(log_ratio_s.clamp(max=math.log(taper)))
    alpha_n = torch.where(advantage_n < 0, ratio_s[sample_n], torch.ones_like(gap_n))
    return -alpha_n * advantage_n * logp_n
