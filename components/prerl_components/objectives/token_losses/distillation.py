"""The per-token loss of on-policy distillation, in torch."""

from torch import Tensor

from prerl_components.ratios.log_ratios import ratio


def reverse_kl_loss(logp_n: Tensor, old_logp_n: Tensor, teacher_logp_n: Tensor) -> Tensor:
    """[n] −sg(A)·ρ, A = log π_T − log π, ρ = π/π_old, in nats, of tokens that π_old has sampled.

    Σ_v π(v)·(log π(v) − log π_T(v)), the reverse KL of one token's distribution, has the gradient E_{v∼π}[−A ∇log π(v)]
    (the other term is E[∇log π] = 0), which is E_{v∼π_old}[−A ρ ∇log π(v)]: this loss's gradient is an unbiased estimate of
    it, without the effect of a token on the states after it (a discount of 0). Where ρ = 1 its value, −A, is an unbiased
    estimate of the KL itself, and its gradient that of k2 = A²/2.
    """
    advantage_n = (teacher_logp_n - logp_n).detach()
    return -advantage_n * ratio(logp_n, old_logp_n)
