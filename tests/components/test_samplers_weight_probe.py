"""The probe's limit: ten times the first gap, but no less than what rounding makes of a less certain policy."""

from collections.abc import Sequence

import pytest
import torch
from prerl_components.samplers.shared.frozen_access import FrozenAccess
from prerl_components.samplers.shared.weight_probe import Text, WeightProbe, floor_of

from prerl_spec.errors import RunFailed
from prerl_spec.testing.tiny import tiny_loaded

TEXT = Text((5, 6, 7), (8, 9, 10, 11))


def probe(dtype: torch.dtype) -> tuple[WeightProbe, list[float]]:
    """A probe of a real model whose first gap was 0, and the trainer's log-probabilities of its text."""
    policy = FrozenAccess(tiny_loaded())
    opened = WeightProbe(policy, [TEXT], 0.1, floor=floor_of(dtype))
    exact = policy.logprobs(TEXT.context, TEXT.tokens)
    assert opened.check([exact], 0, opened.trainer_logps()) == 0.0
    return opened, exact


def off_by(logps: Sequence[float], nats: float) -> list[list[float]]:
    return [[logp - nats for logp in logps]]


@pytest.mark.parametrize(
    ("dtype", "sound", "unsound"),
    [(torch.float32, 9e-5, 2e-4), (torch.bfloat16, 0.033, 0.06), (torch.float16, 0.033, 0.06)],
)
def test_a_first_gap_of_nothing_does_not_forbid_rounding(dtype: torch.dtype, sound: float, unsound: float) -> None:
    opened, exact = probe(dtype)
    assert opened.check(off_by(exact, sound), 1, [exact]) == pytest.approx(sound)
    with pytest.raises(RunFailed, match="after update 2"):
        opened.check(off_by(exact, unsound), 2, [exact])


def test_max_gap_bounds_every_dtype() -> None:
    policy = FrozenAccess(tiny_loaded())
    opened = WeightProbe(policy, [TEXT], 0.01, floor=floor_of(torch.bfloat16))
    with pytest.raises(RunFailed, match=r"max_gap: 0\.01"):
        opened.check(off_by(policy.logprobs(TEXT.context, TEXT.tokens), 0.02), 0, opened.trainer_logps())
