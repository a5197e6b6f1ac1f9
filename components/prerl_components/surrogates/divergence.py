"""How far a sampled token's probability has moved, in torch: inputs [n] are log-probabilities in nats, no gradient."""

import torch
from torch import Tensor


def tv_of_token(logp_n: Tensor, old_n: Tensor) -> Tensor:
    """[n] |π_old − π|: total variation between the two-valued distributions of this token and any other."""
    return (old_n.detach().exp() - logp_n.detach().exp()).abs()


def kl_of_token(logp_n: Tensor, old_n: Tensor) -> Tensor:
    """[n] π_old log(π_old/π) + (1−π_old) log((1−π_old)/(1−π)), nats; infinite where π is 1 and π_old is not."""
    logp_n, old_n = logp_n.detach(), old_n.detach()
    other_n, old_other_n = _of_others(logp_n), _of_others(old_n)
    # xlogy-like: where π_old is 1, 0 · (−∞ − …) counts as 0.
    others_n = torch.where(old_other_n.isneginf(), 0.0, old_other_n.exp() * (old_other_n - other_n))
    return old_n.exp() * (old_n - logp_n) + others_n


def _of_others(logp_n: Tensor) -> Tensor:
    """[n] log(1 − π), exact also where π is near 1; −∞ at π = 1."""
    return torch.log(-torch.expm1(logp_n.clamp(max=0.0)))
