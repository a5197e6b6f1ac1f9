"""The laws of corrections: weights without gradient, at least 0, finite, one where sampler and trainer agree, and ratios
the right way up."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.objective_parts import Correction
from prerl_spec.testing.laws.objective import TOLERANCE
from prerl_spec.testing.laws.together import Laws
from prerl_spec.testing.steps import made_step
from prerl_spec.types import Array, Index, Tokens

_LENGTHS = (3, 1, 7, 4, 5, 2, 6, 4)
_ADVANTAGES = (1.3, -0.7, -1.1, 0.4, 0.0, 0.9, -0.2, -1.6)


@dataclass(frozen=True)
class Inputs:
    """Log-probabilities of trainer and sampler, and advantages, as arrays."""

    trainer_n: Array
    sampler_n: Array
    advantage_n: Array
    tokens: Tokens

    def of_samples(self, samples: list[int]) -> tuple["Inputs", Index]:
        """The inputs of these samples, in this order, and where their tokens stood."""
        tokens, index = self.tokens.of_samples(samples)
        return Inputs(self.trainer_n[index], self.sampler_n[index], self.advantage_n[index], tokens), index


def check_correction(correction: Component) -> None:
    """Raises AssertionError, with a message, if a correction breaks a law of its kind."""
    with Laws(correction) as laws:
        named: Any = correction
        whole: Correction = named
        tokens = made_step([[0.0] * len(_LENGTHS)], lengths=_LENGTHS).tokens
        random = np.random.default_rng(5)
        sampler_N = random.uniform(-3, 0, tokens.num_tokens)
        advantage_N = np.array(_ADVANTAGES)[tokens.sample_N]
        for spread in (0.1, 2.0, 50.0):
            gap_N = random.uniform(-spread, spread, tokens.num_tokens)
            inputs = Inputs(sampler_N + gap_N, sampler_N, advantage_N, tokens)
            laws.hold(_check_alone, whole, inputs)
            if getattr(correction, "level", "token") in ("sequence", "geometric"):
                laws.hold(_check_whole_samples, whole, inputs)
        laws.hold(_check_single_precision, whole, sampler_N, advantage_N, tokens)
        laws.hold(_check_direction, whole, sampler_N, advantage_N, tokens)
        laws.hold(_check_agreement, whole, Inputs(sampler_N, sampler_N, advantage_N, tokens))


def _ratio(correction: Correction, inputs: Inputs) -> Array:
    trainer, sampler = torch.tensor(inputs.trainer_n, requires_grad=True), torch.tensor(inputs.sampler_n)
    return _checked("ratio", correction.ratio(trainer, sampler, inputs.tokens), inputs)


def _weight(correction: Correction, inputs: Inputs) -> Array:
    trainer, sampler = torch.tensor(inputs.trainer_n, requires_grad=True), torch.tensor(inputs.sampler_n)
    found = correction.weight(trainer, sampler, torch.tensor(inputs.advantage_n), inputs.tokens)
    return _checked("weight", found, inputs)


def _checked(name: str, found: torch.Tensor, inputs: Inputs) -> Array:
    num_tokens = inputs.tokens.num_tokens
    assert found.shape == (num_tokens,), f"{name}() returns shape {tuple(found.shape)}: one number per token is wanted"
    assert not found.requires_grad, f"{name}() carries a gradient: a correction is a stop-gradient weight"
    values: Array = found.numpy()
    largest = np.abs(inputs.trainer_n - inputs.sampler_n).max()
    assert np.isfinite(values).all(), f"{name}() is not finite where log w is up to {largest:.2g}"
    assert (values >= 0).all(), f"{name}() is negative"
    return values


def _check_alone(correction: Correction, inputs: Inputs) -> None:
    """A sample's ratios and weights are the same in any company and order, and when taken again."""
    order = np.random.default_rng(1).permutation(inputs.tokens.num_samples).tolist()
    everyone = list(range(inputs.tokens.num_samples))
    for name, taken in (("ratio", _ratio), ("weight", _weight)):
        whole = taken(correction, inputs)
        for samples in (everyone, order, *([s] for s in order)):
            part, index = inputs.of_samples(samples)
            gap = (np.abs(taken(correction, part) - whole[index]) / (1 + whole[index])).max()
            assert gap <= TOLERANCE, f"{name}() of a sample changes with the other samples or their order ({gap:.1e})"


def _check_whole_samples(correction: Correction, inputs: Inputs) -> None:
    for name, taken in (("ratio", _ratio), ("weight", _weight)):
        value_n = taken(correction, inputs)
        first_S = np.cumsum(inputs.tokens.length_S) - inputs.tokens.length_S
        assert (value_n == value_n[first_S][inputs.tokens.sample_N]).all(), (
            f"{name}() differs within a sample, at a level above the token"
        )


def _check_single_precision(correction: Correction, sampler_N: Array, advantage_N: Array, tokens: Tokens) -> None:
    """Finite in float32, in which runs compute, also where every token of a response is 50 nats off."""
    for gap in (50.0, -50.0):
        trainer_n, sampler_n, advantage_n = (
            torch.tensor(vector, dtype=torch.float32) for vector in (sampler_N + gap, sampler_N, advantage_N)
        )
        found = {
            "ratio": correction.ratio(trainer_n, sampler_n, tokens),
            "weight": correction.weight(trainer_n, sampler_n, advantage_n, tokens),
        }
        for name, value_n in found.items():
            assert torch.isfinite(value_n).all(), (
                f"{name}() is not finite in torch.float32 where log w is {gap:g} at every token: clamp the log-ratio to "
                "±20 before exp, of a response after its sum or mean"
            )


def _check_direction(correction: Correction, sampler_N: Array, advantage_N: Array, tokens: Tokens) -> None:
    """w = π_trainer/π_sampler: it does not fall as the trainer's log-probabilities rise, and is what its level says."""
    gap_N = np.random.default_rng(9).uniform(-0.5, 0.5, tokens.num_tokens)
    ratios = [
        _ratio(correction, Inputs(sampler_N + gap_N + more, sampler_N, advantage_N, tokens)) for more in (0.0, 0.25)
    ]
    assert (ratios[1] >= ratios[0]).all(), (
        "ratio() falls as the trainer's log-probability rises: it is π_trainer/π_sampler, exp(trainer_n − sampler_n), not "
        "its reciprocal"
    )
    sum_S = np.bincount(tokens.sample_N, gap_N, tokens.num_samples)
    expected = {
        "token": gap_N,
        "sequence": sum_S[tokens.sample_N],
        "geometric": (sum_S / np.maximum(tokens.length_S, 1))[tokens.sample_N],
    }
    level = getattr(correction, "level", None)
    if level in expected:
        gap = np.abs(ratios[0] / np.exp(expected[level]) - 1).max()
        meant = {"token": "of the token", "sequence": "the product over the response", "geometric": "its T-th root"}
        assert gap <= TOLERANCE, (
            f"level is {level!r}, and ratio() is not exp(trainer_n − sampler_n), {meant[level]} ({gap:.1e})"
        )


def _check_agreement(correction: Correction, inputs: Inputs) -> None:
    assert (_ratio(correction, inputs) == 1).all(), "ratio() is not 1 where trainer and sampler agree"
    cls = type(correction)
    has_defaults = not any(field.is_required() for field in getattr(cls, "model_fields", {}).values())
    defaults: Any = cls() if has_defaults else correction
    assert (_weight(defaults, inputs) == 1).all(), (
        "weight() is not 1 where trainer and sampler agree, with default settings"
    )
