"""Corrections against plain loops and hand-made numbers."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from prerl_components.corrections.band import Band
from prerl_components.corrections.mask import Mask
from prerl_components.corrections.sequence_mask import SequenceMask
from prerl_components.corrections.truncate import Truncate
from prerl_components.ratios.levels import leveled_ratio
from torch import Tensor
from torch.testing import assert_close

from prerl_spec.sdk import Correction, Tokens, Wiring
from prerl_spec.testing.laws import check_correction
from prerl_spec.testing.steps import made_step

F64 = torch.float64
LEVELS = ("token", "sequence", "geometric")
BOUNDS: dict[type[Correction], Callable[[float], float]] = {
    Truncate: lambda w: min(w, 2.0),
    Mask: lambda w: w if w <= 2.0 else 0.0,
    Band: lambda w: w if 0.5 <= w <= 5.0 else 0.0,
}


def mismatched() -> tuple[Tensor, Tensor, Tensor, Tokens]:
    """40 ragged responses whose trainer and sampler disagree, some of them in all of their tokens."""
    random = np.random.default_rng(3)
    tokens = made_step([[0.0] * 40], lengths=random.integers(1, 6, size=40).tolist()).tokens
    trainer = random.uniform(-5, -3, tokens.num_tokens)
    sampler = trainer + random.uniform(-1.5, 1.5, 40)[tokens.sample_N] + random.uniform(-0.8, 0.8, tokens.num_tokens)
    advantage = random.normal(size=40)[tokens.sample_N]
    return torch.tensor(trainer), torch.tensor(sampler), torch.tensor(advantage), tokens


def responses(tokens: Tokens) -> list[range]:
    ends = np.cumsum(tokens.length_S).tolist()
    return [range(end - length, end) for end, length in zip(ends, tokens.length_S.tolist(), strict=True)]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("cls", BOUNDS)
def test_weights_are_those_of_a_loop_over_responses(cls: type[Correction], level: str) -> None:
    trainer, sampler, advantage, tokens = mismatched()
    weight = cls.model_validate({"level": level}).weight(trainer, sampler, advantage, tokens)
    expected = []
    for where in responses(tokens):
        gaps = [trainer[i].item() - sampler[i].item() for i in where]
        whole = {"sequence": math.exp(sum(gaps)), "geometric": math.exp(sum(gaps) / len(gaps))}
        expected += [BOUNDS[cls](whole.get(level, math.exp(gap))) for gap in gaps]
    assert_close(weight, torch.tensor(expected, dtype=F64), rtol=1e-12, atol=0)
    ratio = cls.model_validate({"level": level}).ratio(trainer, sampler, tokens)
    changed = (weight != ratio).double().mean().item()
    assert 0.1 <= changed <= 0.9


def test_inside_the_band_the_weight_is_the_ratio_itself() -> None:
    tokens = made_step([[0.0]], lengths=[5]).tokens
    w = torch.tensor([0.4, 0.6, 1.0, 4.9, 5.1], dtype=F64)
    weight = Band().weight(w.log(), torch.zeros(5, dtype=F64), torch.ones(5, dtype=F64), tokens)
    assert_close(weight, torch.tensor([0.0, 0.6, 1.0, 4.9, 0.0], dtype=F64), rtol=1e-12, atol=0)


def test_only_wrong_responses_far_from_the_sampler_are_masked_and_then_whole() -> None:
    """mean_t log(π_sampler/π_trainer) is 0.6, 0.6, −0.6 and 0.4, with A < 0 in all but the first."""
    tokens = made_step([[0.0] * 4], lengths=[2, 2, 1, 2]).tokens
    gap = torch.tensor([1.0, 0.2, 1.5, -0.3, -0.6, 0.9, -0.1], dtype=F64)
    advantage = torch.tensor([1.0, 1.0, -1.0, -1.0, -1.0, -1.0, -1.0], dtype=F64)
    trainer = torch.full((7,), -2.0, dtype=F64)
    correction = SequenceMask(delta=0.5)
    assert correction.weight(trainer, trainer + gap, advantage, tokens).tolist() == [1, 1, 0, 0, 1, 1, 1]
    assert correction.ratio(trainer, trainer + gap, tokens).tolist() == [1.0] * 7
    assert SequenceMask(delta=0.61).weight(trainer, trainer + gap, advantage, tokens).tolist() == [1.0] * 7


@pytest.mark.parametrize(
    "correction",
    [
        *(cls.model_validate({"level": level}) for cls in BOUNDS for level in LEVELS),
        *(Truncate(cap=0.5), Mask(cap=1.0), Band(low=0.0, high=1.0), SequenceMask(), SequenceMask(delta=1e-9)),
    ],
    ids=repr,
)
def test_every_setting_obeys_the_laws(correction: Correction) -> None:
    check_correction(correction)


def test_a_band_without_an_inside_is_refused() -> None:
    """At the bounds that are written: `check` has their places, a validator of the model has none."""
    (conflict,) = Band(low=2.0, high=2.0).check(Wiring(written=frozenset({"low"})))
    assert (conflict.code, [p.setting for p in conflict.places]) == ("E0701", ["low", "high"])
    assert "every weight would be 0" in conflict.message
    assert list(Band(low=2.0, high=2.1).check(Wiring(written=frozenset()))) == []


def test_both_ends_of_a_band_belong_to_it() -> None:
    tokens, gap = made_step([[0.0]], lengths=[2]).tokens, torch.tensor([0.5, -0.5], dtype=F64)
    high, low = gap.exp().tolist()
    weight = Band(low=low, high=high).weight(gap, torch.zeros(2, dtype=F64), torch.ones(2, dtype=F64), tokens)
    assert weight.tolist() == [high, low]


@pytest.mark.parametrize("level", ["sequence", "geometric"])
def test_the_log_ratio_of_a_response_is_clamped_at_20_nats(level: Literal["sequence", "geometric"]) -> None:
    """Of seven tokens that are 30 nats apart each the sum is 210, the mean 30."""
    tokens = made_step([[0.0, 0.0]], lengths=[7, 7]).tokens
    trainer = torch.tensor([30.0] * 7 + [-30.0] * 7, dtype=F64)
    ratio = leveled_ratio(trainer, torch.zeros(14, dtype=F64), tokens, level)
    assert_close(ratio, torch.tensor([math.exp(20)] * 7 + [math.exp(-20)] * 7, dtype=F64), rtol=1e-15, atol=0)
