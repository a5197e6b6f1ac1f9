"""Each surrogate against a loop over responses and tokens, written from its paper: the loss, and the weight of −A·∇log π."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from prerl_spec.sdk import Surrogate
from prerl_spec.testing.steps import made_step

from prerl_zoo.aspo import Aspo
from prerl_zoo.ce_gppo import CeGppo
from prerl_zoo.dro import Dro
from prerl_zoo.fipo import Fipo
from prerl_zoo.gmpo import Gmpo
from prerl_zoo.luspo import Luspo
from prerl_zoo.vespo import Vespo

Token = tuple[float, float]
"""The loss of a token, and its derivative by log π of that token."""
Reference = Callable[[list[float], list[float], float], list[Token]]
"""From the log-probabilities of a response, the old ones and its advantage."""

TOKENS = made_step([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.5, 0.0]], lengths=[5, 1, 7, 2, 3, 9, 4, 6]).tokens
ADVANTAGES = [1.3, -0.4, -0.9, -1.1, 0.6, 0.5, 0.0, -0.7]


def gmpo(logp: list[float], old: list[float], advantage: float) -> list[Token]:
    """Algorithm 1, with the gradient of equation 6 for the tokens that are not clipped."""
    sign = 1 if advantage > 0 else -1
    smallest = [min(sign * (p - q), max(-0.4, min(0.4, sign * (p - q)))) for p, q in zip(logp, old, strict=True)]
    mean_ratio = math.exp(sum(sign * g for g in smallest) / len(logp))
    moves = [g == sign * (p - q) for g, p, q in zip(smallest, logp, old, strict=True)]
    return [(-advantage * mean_ratio, -advantage * mean_ratio if moving else 0.0) for moving in moves]


def ce_gppo(logp: list[float], old: list[float], advantage: float) -> list[Token]:
    """Equations 8 and 10."""
    found = []
    for p, q in zip(logp, old, strict=True):
        delta = math.exp(p - q)
        if delta < 0.8 and advantage < 0:
            weight = 0.75 * 0.8
        elif delta > 1.2 and advantage > 0:
            weight = 1.0 * 1.2
        else:
            weight = delta
        found.append((-weight * advantage, -weight * advantage))
    return found


def aspo(logp: list[float], old: list[float], advantage: float) -> list[Token]:
    """The three steps of section 6; the third is CISPO's: the bounded weight is a constant factor of log π."""
    found = []
    for p, q in zip(logp, old, strict=True):
        ratio = math.exp(p - q)
        masked = ratio > 1.2 if advantage > 0 else ratio < 0.8
        weight = 0.0 if masked else min(3.0, 1 / ratio if advantage > 0 else ratio)
        found.append((-weight * advantage * p, -weight * advantage))
    return found


def fipo(logp: list[float], old: list[float], advantage: float) -> list[Token]:
    """Equations 5 to 8, with the reset for unsafe tokens, and DAPO's dual-clipped loss."""
    found = []
    for t, (p, q) in enumerate(zip(logp, old, strict=True)):
        future = 0.0
        for k in range(t, len(logp)):
            delta = logp[k] - old[k]
            if not (advantage < 0 and math.exp(delta) > 10):
                future += 2 ** (-(k - t) / 32) * delta
        ratio = math.exp(p - q)
        factor = 1.0 if advantage < 0 and ratio > 10 else max(1.0, min(1.2, math.exp(future)))
        gain = factor * advantage
        objective = min(ratio * gain, max(0.8, min(1.28, ratio)) * gain)
        if advantage < 0:
            objective = max(objective, 10 * gain)
        found.append((-objective, -ratio * gain if objective == ratio * gain else 0.0))
    return found


def vespo(logp: list[float], old: list[float], advantage: float) -> list[Token]:
    """Equation 20, W the product over the response."""
    w = math.prod(math.exp(p - q) for p, q in zip(logp, old, strict=True))
    c1, c2 = (2.0, 3.0) if advantage >= 0 else (3.0, 2.0)
    phi = w**c1 * math.exp(c2 * (1 - w))
    return [(-phi * advantage * p, -phi * advantage) for p in logp]


def luspo(logp: list[float], old: list[float], advantage: float) -> list[Token]:
    """Equation 7, of which every token has the same |y|-th part under a sequence mean; equation 8 where it isn't clipped."""
    s = math.exp(sum(p - q for p, q in zip(logp, old, strict=True)) / len(logp))
    objective = min(s * advantage, max(1 - 2e-3, min(1 + 2.5e-3, s)) * advantage)
    slope = -s * advantage if objective == s * advantage else 0.0
    return [(-objective * len(logp), slope * len(logp))] * len(logp)


def dro(logp: list[float], old: list[float], advantage: float) -> list[Token]:
    """½(A − L)² − ½A² of a response is −A·L + ½L²; A·log π_old is a constant."""
    gap = sum(p - q for p, q in zip(logp, old, strict=True))
    return [(-advantage * p + gap**2 / 2 / len(logp), -(advantage - gap)) for p in logp]


@pytest.mark.parametrize("spread", [0.003, 0.3, 2.0])
@pytest.mark.parametrize(
    ("surrogate", "reference"),
    [
        (Gmpo(), gmpo),
        (CeGppo(), ce_gppo),
        (Aspo(), aspo),
        (Fipo(), fipo),
        (Vespo(), vespo),
        (Luspo(), luspo),
        (Dro(), dro),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_the_loss_and_its_gradient_are_those_of_a_loop_over_tokens(
    surrogate: Surrogate, reference: Reference, spread: float
) -> None:
    random = np.random.default_rng(7)
    old_N = random.uniform(-3, 0, TOKENS.num_tokens)
    # Not above 0: log-probabilities are not, and no token is left without a move.
    logp_N = np.minimum(old_N + random.normal(0, spread, TOKENS.num_tokens), -1e-4)
    expected: list[Token] = []
    for sample, advantage in enumerate(ADVANTAGES):
        mine = TOKENS.sample_N == sample
        expected += reference(logp_N[mine].tolist(), old_N[mine].tolist(), advantage)
    leaf = torch.tensor(logp_N, requires_grad=True)
    advantage_n = torch.tensor(ADVANTAGES, dtype=torch.float64)[torch.from_numpy(TOKENS.sample_N)]
    loss_n = surrogate.loss(leaf, torch.tensor(old_N), advantage_n, TOKENS, {})
    torch.autograd.backward(loss_n.sum())
    assert leaf.grad is not None
    assert loss_n.detach().numpy() == pytest.approx([loss for loss, _ in expected], rel=1e-12, abs=1e-14)
    assert leaf.grad.numpy() == pytest.approx([slope for _, slope in expected], rel=1e-12, abs=1e-14)
