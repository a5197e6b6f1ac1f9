"""The laws of surrogates: REINFORCE at ρ = 1, a sample on its own, finite everywhere, and bounds that say where they act."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prerl_spec.needs import Need
from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.objective_parts import Factor, Surrogate
from prerl_spec.testing.laws.objective import TOLERANCE, random_vectors
from prerl_spec.testing.laws.together import Laws
from prerl_spec.testing.steps import made_step
from prerl_spec.types import Array, Index, Tokens
from prerl_spec.views import Conditional

NUDGE = 1e-6
"""Step of the central differences; their own error is then some 1e-9 of the loss."""
KINK = 1e-3
"""A relative gap of the differences to the left and to the right that tells a kink from curvature."""
DERIVATIVE = 1e-6

_LENGTHS = (3, 1, 7, 4, 5, 2, 6, 4)
_ADVANTAGES = (1.3, -0.7, -1.1, 0.4, 0.0, 0.9, -0.2, -1.6)


@dataclass(frozen=True)
class Inputs:
    """What `loss` and `bounded` read, as arrays."""

    logp_n: Array
    old_n: Array
    advantage_n: Array
    tokens: Tokens
    more: Mapping[Need, Array]

    def of_samples(self, samples: list[int]) -> tuple["Inputs", Index]:
        """The inputs of these samples, in this order, and where their tokens stood."""
        tokens, index = self.tokens.of_samples(samples)
        more = {need: vector[index] for need, vector in self.more.items()}
        return Inputs(self.logp_n[index], self.old_n[index], self.advantage_n[index], tokens, more), index

    def tensors(self, logp_n: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tokens, dict[Need, Tensor]]:
        """The arguments of `loss` and `bounded`, in the precision of `logp_n`."""
        logp_n = torch.tensor(self.logp_n) if logp_n is None else logp_n
        old_n, advantage_n = (torch.tensor(v).to(logp_n) for v in (self.old_n, self.advantage_n))
        more = {need: torch.tensor(vector).to(logp_n) for need, vector in self.more.items()}
        return logp_n, old_n, advantage_n, self.tokens, more


def check_surrogate(surrogate: Component) -> None:
    """Raises AssertionError, with a message, if a surrogate breaks a law of its kind."""
    with Laws(surrogate) as laws:
        named: Any = surrogate
        whole: Surrogate = named
        near, middling, far = _inputs(whole, 0.05), _inputs(whole, 1.0), _inputs(whole, 50.0)
        for inputs in (near, middling, far):
            laws.hold(_check_values, whole, inputs)
            laws.hold(_check_alone, whole, inputs)
        laws.hold(_check_on_policy, whole, near)
        laws.hold(_check_zero, whole, (near, middling))
        for inputs in (near, middling):
            if whole.gradient == "exact":
                laws.hold(_check_derivative, whole, inputs)
            if whole.unbounded is not None:
                laws.hold(_check_unbounded, whole, whole.unbounded, inputs)
        laws.hold(_check_sides, whole, near)
        if not whole.uses_ratio:
            laws.hold(_check_without_ratio, whole, middling)


def _check_without_ratio(surrogate: Surrogate, inputs: Inputs) -> None:
    moved = Inputs(inputs.logp_n, inputs.old_n - 0.5, inputs.advantage_n, inputs.tokens, inputs.more)
    assert torch.equal(_loss(surrogate, moved), _loss(surrogate, inputs)), (
        "uses_ratio is False, and loss() changes with old_n"
    )


def _inputs(surrogate: Surrogate, spread: float) -> Inputs:
    """Samples of both signs and of none, with log-ratios of up to `spread`."""
    tokens = made_step([[0.0] * len(_LENGTHS)], lengths=_LENGTHS).tokens
    random = np.random.default_rng(4)
    middle_N = random.uniform(-1.0, -0.3, tokens.num_tokens) - spread / 2
    half_N = random.uniform(-spread / 2, spread / 2, tokens.num_tokens)
    if spread > 20:
        half_N = np.sign(half_N) * spread / 2
    more = random_vectors(surrogate.needs(Conditional()), tokens.num_tokens)
    return Inputs(middle_N + half_N, middle_N - half_N, np.array(_ADVANTAGES)[tokens.sample_N], tokens, more)


def _loss(surrogate: Surrogate, inputs: Inputs, logp_n: Tensor | None = None) -> Tensor:
    logp_n, old_n, advantage_n, tokens, more = inputs.tensors(logp_n)
    return surrogate.loss(logp_n, old_n, advantage_n, tokens, more)


def _bounded(surrogate: Surrogate, inputs: Inputs) -> npt.NDArray[np.bool_]:
    logp_n, old_n, advantage_n, tokens, more = inputs.tensors()
    bounded: npt.NDArray[np.bool_] = surrogate.bounded(logp_n, old_n, advantage_n, tokens, more).numpy()
    return bounded


def _gradient(surrogate: Surrogate, inputs: Inputs) -> Array:
    """[n] ∂(Σ loss)/∂logp."""
    leaf = torch.tensor(inputs.logp_n, requires_grad=True)
    (gradient,) = torch.autograd.grad(_loss(surrogate, inputs, leaf).sum(), leaf)
    return gradient.numpy()


def _check_values(surrogate: Surrogate, inputs: Inputs) -> None:
    leaf = torch.tensor(inputs.logp_n, requires_grad=True)
    first, again = _loss(surrogate, inputs, leaf), _loss(surrogate, inputs, leaf)
    num_tokens = inputs.tokens.num_tokens
    assert first.shape == (num_tokens,), f"loss() returns shape {tuple(first.shape)}: one loss per token is wanted"
    assert torch.equal(first, again), "loss() returns another result when called again: it must be pure"
    bounded = _bounded(surrogate, inputs)
    assert bounded.shape == (num_tokens,), f"bounded() returns shape {bounded.shape}: one truth per token is wanted"
    assert bounded.dtype == np.bool_, f"bounded() returns {bounded.dtype}, not bool"
    largest = np.abs(inputs.logp_n - inputs.old_n).max()
    for precision in (torch.float64, torch.float32):
        where = f"in {precision} where log π − log π_old is up to {largest:.2g}"
        leaf = torch.tensor(inputs.logp_n, dtype=precision, requires_grad=True)
        loss_n = _loss(surrogate, inputs, leaf)
        assert torch.isfinite(loss_n).all(), f"loss() returns a value that is not finite, {where}"
        assert loss_n.requires_grad, "loss() carries no gradient"
        (gradient,) = torch.autograd.grad(loss_n.sum(), leaf)
        assert torch.isfinite(gradient).all(), f"the gradient of loss() is not finite, {where}"


def _check_alone(surrogate: Surrogate, inputs: Inputs) -> None:
    """A sample's losses, bounds and gradients are the same in any company and order."""
    loss, bounded, gradient = _loss(surrogate, inputs), _bounded(surrogate, inputs), _gradient(surrogate, inputs)
    order = np.random.default_rng(1).permutation(inputs.tokens.num_samples).tolist()
    for samples in (order, *([s] for s in order)):
        part, index = inputs.of_samples(samples)
        scale = 1.0 + np.abs(loss.numpy()[index]).max()
        gap = np.abs(_loss(surrogate, part).numpy() - loss.numpy()[index]).max() / scale
        assert gap <= TOLERANCE, f"the loss of a sample changes with the other samples or their order ({gap:.1e})"
        assert (_bounded(surrogate, part) == bounded[index]).all(), "bounded() changes with the other samples"
        scale = 1.0 + np.abs(gradient[index]).max()
        gap = np.abs(_gradient(surrogate, part) - gradient[index]).max() / scale
        assert gap <= TOLERANCE, f"the gradient of a sample changes with the other samples ({gap:.1e})"


def _check_on_policy(surrogate: Surrogate, inputs: Inputs) -> None:
    same = Inputs(inputs.logp_n, inputs.logp_n, inputs.advantage_n, inputs.tokens, inputs.more)
    assert not _bounded(surrogate, same).any(), "bounded() is True at ρ = 1, where no bound can act"
    if surrogate.on_policy == "reinforce":
        gap = np.abs(_gradient(surrogate, same) + inputs.advantage_n).max()
        assert gap <= TOLERANCE, (
            f'at ρ = 1 the gradient is not −A ∇log π ({gap:.1e}): on_policy = "other" says so of a surrogate'
        )


def _check_zero(surrogate: Surrogate, several: Sequence[Inputs]) -> None:
    """Tokens of advantage 0 have a gradient exactly if the class says so: without it they lose their weight."""
    largest = max(np.abs(_gradient(surrogate, inputs)[inputs.advantage_n == 0]).max() for inputs in several)
    if surrogate.trains_zero:
        assert largest > 0, (
            "trains_zero is True, and tokens with A = 0 have no gradient: declare trains_zero = False, which spares their "
            "forwards"
        )
    else:
        assert largest == 0, (
            f"tokens with A = 0 have a gradient ({largest:.2g}), and would lose their weight: declare trains_zero = True, "
            "or multiply every term by A"
        )


def _check_sides(surrogate: Surrogate, near: Inputs) -> None:
    """A bound holds back what has already gone A's way: A > 0 at ρ > 1 and A < 0 at ρ < 1; the rest is declared."""
    assert surrogate.bounds in ("outward", "above", "any"), f"bounds is {surrogate.bounds!r}"
    share_N = np.random.default_rng(10).uniform(0.5, 1.0, near.tokens.num_tokens)
    # All log-ratios of a sample have one sign, so that ratios of tokens and of whole responses are on the same side.
    for size, turn in product((1e-3, 0.05, 0.5, 3.0), (1, -1)):
        gap_N = turn * size * share_N * np.where(near.tokens.sample_N % 3 < 1, 1, -1)
        inputs = Inputs(near.logp_n, near.logp_n - gap_N, near.advantage_n, near.tokens, near.more)
        bounded_n, advantage_n = _bounded(surrogate, inputs), inputs.advantage_n
        below, above = bounded_n & (advantage_n > 0) & (gap_N < 0), bounded_n & (advantage_n < 0) & (gap_N > 0)
        assert surrogate.bounds == "any" or not below.any(), (
            "a bound acts where A > 0 and ρ < 1, and holds back what corrects: PPO's acts where A > 0 and ρ > 1 + ε, "
            'A < 0 and ρ < 1 − ε (a minimum over ρA, not a maximum), or the class declares bounds = "any"'
        )
        assert surrogate.bounds != "outward" or not above.any(), (
            "a bound acts where A < 0 and ρ > 1, and holds back what corrects: PPO's acts where A < 0 and ρ < 1 − ε; a "
            'surrogate with a dual clip or a cap on ρ declares bounds = "above"'
        )


def _check_derivative(surrogate: Surrogate, inputs: Inputs) -> None:
    """The gradient is the derivative of the summed loss, away from kinks, by central differences."""
    gradient, middle = _gradient(surrogate, inputs), _loss(surrogate, inputs).sum().item()
    for token in range(inputs.tokens.num_tokens):
        sides = []
        for sign in (1, -1):
            moved = inputs.logp_n.copy()
            moved[token] += sign * NUDGE
            sides.append(sign * (_loss(surrogate, inputs, torch.tensor(moved)).sum().item() - middle) / NUDGE)
        if abs(sides[0] - sides[1]) > KINK * (1 + abs(sides[0])):
            continue
        gap = abs(gradient[token] - sum(sides) / 2) / (1 + abs(gradient[token]))
        assert gap <= DERIVATIVE, (
            f"the gradient is not the derivative of the loss ({gap:.1e}): a surrogate with a stop-gradient as a factor "
            'declares gradient = "stopped"'
        )


def _check_unbounded(surrogate: Surrogate, factors: tuple[Factor, Factor], inputs: Inputs) -> None:
    """The gradient is that of the declared factor exactly where no bound acts."""
    positive, negative = (_factor(factor, inputs) for factor in factors)
    free = -inputs.advantage_n * np.where(inputs.advantage_n > 0, positive, negative)
    bounded, found = _bounded(surrogate, inputs), _gradient(surrogate, inputs)
    same = np.abs(found - free) <= 1e-9 * np.abs(free)
    assert same[~bounded].all(), "bounded() is False where the gradient is not that of the unbounded surrogate"
    assert not same[bounded].any(), "bounded() is True where the gradient is that of the unbounded surrogate"


def _factor(factor: Factor, inputs: Inputs) -> Array:
    log_ratio_n, tokens = inputs.logp_n - inputs.old_n, inputs.tokens
    if factor == "one":
        return np.ones_like(log_ratio_n)
    if factor == "ratio":
        return np.exp(log_ratio_n)
    sum_S = np.bincount(tokens.sample_N, log_ratio_n, tokens.num_samples)
    over_sample = sum_S if factor == "sequence" else sum_S / np.maximum(tokens.length_S, 1)
    return np.asarray(np.exp(over_sample))[tokens.sample_N]
