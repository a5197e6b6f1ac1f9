"""Every pair of choices takes a step on a tiny model, with the loss and gradient of an assembly by hand."""

import math
from collections.abc import Sequence
from copy import deepcopy

import pytest
import torch
from prerl_components.optimizers.adamw import Adamw

from prerl_spec.engine.policy.policy import Policy
from prerl_spec.testing.tiny import tiny_loaded
from prerl_spec.types import Step
from tests.product.axes import Combination, axes, every_combination, leaves_a_sample
from tests.product.by_hand import Assembled
from tests.product.pairs import pairwise_cover
from tests.product.steps import step_near, trained

FAST = Adamw(lr=0.01, max_grad_norm=1e9)
"""Moves most ratios of a second update by more than a tenth: 0.59 of them at least, in the cover as it was measured."""
ROUNDING = 2e-5
"""fp32 sums of some ten thousand products, of packed and of padded rows, relative to the largest entry."""

COVER = [Combination(**row) for row in pairwise_cover(axes(), lambda row: leaves_a_sample(Combination(**row)))]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy(tiny_loaded(), torch.device("cpu"))


@pytest.fixture(scope="module")
def step(policy: Policy) -> Step:
    return step_near(policy)


def gap_of(combination: Combination, policy: Policy, step: Step) -> tuple[float, int]:
    """The largest gap of loss and gradients to those by hand, relative to their size; and the number of updates."""
    initial = deepcopy(policy.module.state_dict())
    by_hand: list[torch.Tensor] = []
    losses: list[float] = []
    assembled = Assembled.of(combination, step, policy)
    waiting = iter(range(combination.updates))

    def before(_: int) -> None:
        loss = next(own for update in waiting if (own := assembled.loss(update, policy)) is not None)
        losses.append(loss.item())
        parameters = [p for _, p in policy.parameters()]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        by_hand.append(torch.cat([g.reshape(-1) for g in gradients]))

    try:
        result, gradients = trained(
            policy,
            combination.objective(),
            step,
            updates=combination.updates,
            optimizer=FAST,
            tokens_per_pass=60,
            before=before,
        )
        assert all(assembled.loss(update, policy) is None for update in waiting), "an update was left out"
    finally:
        policy.module.load_state_dict(initial)
    if not losses:
        return 0.0, 0
    assert math.isfinite(result.loss)
    expected = sum(losses) / len(losses)
    gaps = [abs(result.loss - expected) / max(1.0, *map(abs, losses))]
    for gradient, own in zip(gradients, by_hand, strict=True):
        assert torch.isfinite(gradient).all()
        gaps.append(float((gradient - own).abs().max() / own.abs().max().clamp(min=1e-6)))
    return max(gaps), len(losses)


def check(combinations: Sequence[Combination], policy: Policy, step: Step) -> None:
    updates = 0
    for combination in combinations:
        gap, applied = gap_of(combination, policy, step)
        assert gap < ROUNDING, f"{combination}: {gap:.1e}"
        updates += applied
    assert updates > len(combinations), "hardly any of them trained"


def test_a_step_of_every_pair_of_choices_has_the_loss_and_gradient_of_an_assembly_by_hand(
    policy: Policy, step: Step
) -> None:
    check(COVER, policy, step)


@pytest.mark.slow
def test_so_do_some_thousand_combinations(policy: Policy, step: Step) -> None:
    # 19 shares no factor with the numbers of choices: every choice of every axis has its turn.
    check([c for c in every_combination()[::19] if leaves_a_sample(c)], policy, step)
