"""What each surrogate promises, on numbers that can be checked by hand."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from prerl_components.advantages.group_mean import GroupMean
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_spec.sdk import Outcome, Place, Surrogate, Tokens, Wiring
from prerl_spec.testing.steps import made_step
from torch import Tensor

from prerl_zoo.aspo import Aspo
from prerl_zoo.ce_gppo import CeGppo
from prerl_zoo.dro import Dro
from prerl_zoo.fipo import Fipo
from prerl_zoo.gmpo import Gmpo
from prerl_zoo.luspo import Luspo
from prerl_zoo.ratios import discounted_sums
from prerl_zoo.vespo import Vespo

ALL: tuple[type[Surrogate], ...] = (Aspo, CeGppo, Dro, Fipo, Gmpo, Luspo, Vespo)
NOTHING: Mapping[Any, Tensor] = {}


def responses(*lengths: int) -> Tokens:
    return made_step([[1.0] * len(lengths)], lengths=lengths).tokens


def gradient(
    surrogate: Surrogate, log_ratios: list[float], advantage: float, tokens: Tokens | None = None
) -> list[float]:
    """∂Σ loss/∂log π for tokens that were sampled at −2 nats, of one response unless `tokens` says otherwise."""
    tokens = responses(len(log_ratios)) if tokens is None else tokens
    old_n = torch.full((len(log_ratios),), -2.0, dtype=torch.float64)
    logp_n = (old_n + torch.tensor(log_ratios, dtype=torch.float64)).requires_grad_()
    loss_n = surrogate.loss(logp_n, old_n, torch.full_like(old_n, advantage), tokens, NOTHING)
    torch.autograd.backward(loss_n.sum())
    assert logp_n.grad is not None
    return logp_n.grad.tolist()


def bounded(surrogate: Surrogate, ratios: list[float], advantage: float) -> list[bool]:
    old_n = torch.full((len(ratios),), -2.0, dtype=torch.float64)
    logp_n = old_n + torch.tensor(ratios, dtype=torch.float64).log()
    found: list[bool] = surrogate.bounded(
        logp_n, old_n, torch.full_like(old_n, advantage), responses(len(ratios)), NOTHING
    ).tolist()
    return found


@pytest.mark.parametrize("surrogate", [cls() for cls in ALL if cls is not Luspo], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("advantage", [0.75, -0.5])
def test_with_one_update_a_batch_the_gradient_is_that_of_reinforce(surrogate: Surrogate, advantage: float) -> None:
    assert gradient(surrogate, [0.0] * 4, advantage) == [-advantage] * 4


def test_luspo_alone_differs_on_policy_by_the_length_of_the_response() -> None:
    assert gradient(Luspo(), [0.0] * 5, 0.75, responses(3, 2)) == [-2.25] * 3 + [-1.5] * 2


@pytest.mark.parametrize("surrogate", [cls() for cls in ALL], ids=lambda s: type(s).__name__)
def test_ratios_of_a_thousand_nats_leave_every_loss_and_gradient_finite(surrogate: Surrogate) -> None:
    for move in (1000.0, -1000.0):
        for advantage in (1.0, -1.0):
            old_n = torch.full((3,), -1001.0)
            logp_n = (old_n + move).requires_grad_()
            loss_n = surrogate.loss(logp_n, old_n, torch.full((3,), advantage), responses(3), NOTHING)
            torch.autograd.backward(loss_n.sum())
            assert torch.isfinite(loss_n).all()
            assert logp_n.grad is not None
            assert torch.isfinite(logp_n.grad).all()


@pytest.mark.parametrize("surrogate", [cls() for cls in ALL], ids=lambda s: type(s).__name__)
def test_settings_are_reported_as_idle_with_one_update_a_batch(surrogate: Surrogate) -> None:
    settings = list(type(surrogate).model_fields)
    idle = list(surrogate.check(Wiring(written=frozenset(settings), updates_per_batch=1)))
    assert [c.places for c in idle] == [(Place("self", name),) for name in settings]
    assert not list(surrogate.check(Wiring(written=frozenset(settings), updates_per_batch=2)))
    assert not list(surrogate.check(Wiring(written=frozenset(), updates_per_batch=1)))


def test_gmpo_gives_all_tokens_of_a_response_the_same_weight_but_for_the_clipped() -> None:
    # g = 0.4 (clipped from 0.7), −0.1 and 0: their mean is 0.1.
    mean = math.exp(0.1)
    assert gradient(Gmpo(), [0.7, -0.1, 0.0], 1.0) == pytest.approx([0.0, -mean, -mean])


def test_gmpo_clips_only_the_side_that_the_advantage_has_already_moved_to() -> None:
    assert bounded(Gmpo(), [math.exp(0.5), math.exp(-0.5)], 1.0) == [True, False]
    assert bounded(Gmpo(), [math.exp(0.5), math.exp(-0.5)], -1.0) == [False, True]


def test_ce_gppo_keeps_of_a_clipped_token_what_beta_says() -> None:
    inside, above, below = math.log(1.1), math.log(5.0), math.log(0.1)
    assert gradient(CeGppo(), [inside, above, below], 1.0) == pytest.approx([-1.1, -1.2, -0.1])
    assert gradient(CeGppo(), [inside, above, below], -1.0) == pytest.approx([1.1, 5.0, 0.6])


def test_ce_gppo_keeps_a_gradient_however_far_the_ratio_is() -> None:
    assert gradient(CeGppo(), [30.0], 1.0) == pytest.approx([-1.2])
    assert gradient(CeGppo(), [-30.0], -1.0) == pytest.approx([0.6])


def test_ce_gppo_without_betas_is_ppo() -> None:
    ppo = CeGppo(beta_low=0.0, beta_high=0.0)
    assert gradient(ppo, [math.log(5.0)], 1.0) == [0.0]
    assert gradient(ppo, [math.log(0.1)], -1.0) == [0.0]


def test_aspo_pushes_a_right_token_harder_the_less_likely_it_has_become() -> None:
    half, double = math.log(0.5), math.log(2.0)
    assert gradient(Aspo(), [half, 0.0, double], 1.0) == pytest.approx([-2.0, -1.0, 0.0])
    assert gradient(Aspo(), [half, 0.0, double], -1.0) == pytest.approx([0.0, 1.0, 2.0])


def test_aspo_bounds_a_weight_and_keeps_its_gradient() -> None:
    assert gradient(Aspo(), [math.log(0.01)], 1.0) == pytest.approx([-3.0])
    assert gradient(Aspo(), [math.log(100.0)], -1.0) == pytest.approx([3.0])
    assert bounded(Aspo(), [0.01, 0.5, 2.0], 1.0) == [True, False, True]


def test_discounted_sums_stay_inside_each_response() -> None:
    values = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    assert discounted_sums(values, responses(3, 2), gamma=0.5).tolist() == [3.0, 4.0, 4.0, 16.0, 16.0]
    assert discounted_sums(values[:0], responses(), gamma=0.5).tolist() == []


def test_fipo_weights_a_token_by_what_the_update_did_to_the_rest_of_its_response() -> None:
    fipo = Fipo(half_life=1.0, low=0.5, high=2.0)
    # F = 0.1 + 0.2/2 = 0.2 for the first token, 0.2 for the second: the discount is ½ per token.
    weights = [math.exp(0.2 + 0.1), math.exp(0.2 + 0.2)]
    assert gradient(fipo, [0.1, 0.2], 1.0) == pytest.approx([-w for w in weights])


def test_fipo_leaves_wrong_tokens_beyond_the_dual_clip_out_of_the_future_but_not_right_ones() -> None:
    fipo = Fipo(low=0.0, high=100.0)
    tokens, old_n = responses(2), torch.zeros(2, dtype=torch.float64)
    moved = torch.tensor([0.0, math.log(20.0)], dtype=torch.float64)
    wrong = fipo.influence(moved, old_n, torch.full((2,), -1.0, dtype=torch.float64), tokens)
    right = fipo.influence(moved, old_n, torch.full((2,), 1.0, dtype=torch.float64), tokens)
    assert wrong.tolist() == [1.0, 1.0]
    assert right.tolist() == pytest.approx([20.0 ** (2 ** (-1 / 32)), 20.0])


def test_fipo_bounds_the_loss_of_a_wrong_token_by_the_dual_clip() -> None:
    assert gradient(Fipo(dual_clip=3.0), [math.log(2.9), math.log(3.1)], -1.0)[1] == 0.0
    assert gradient(Fipo(dual_clip=3.2), [math.log(2.9), math.log(3.1)], -1.0)[1] == pytest.approx(3.1 * 1.2)


def test_fipo_resets_the_factor_of_unsafe_wrong_tokens() -> None:
    fipo = Fipo(safety=3.0, low=0.5, high=2.0)
    old_n = torch.zeros(1, dtype=torch.float64)
    for ratio, factor in ((2.9, 2.0), (3.1, 1.0)):
        moved = torch.tensor([math.log(ratio)], dtype=torch.float64)
        assert fipo.influence(moved, old_n, -torch.ones(1, dtype=torch.float64), responses(1)).tolist() == [factor]


def test_vespo_weighs_the_product_of_a_response_and_falls_on_both_sides_of_one() -> None:
    # W = 2 by two tokens of √2: φ = 2² · e^(3·(1 − 2)) for right ones, 2³ · e^(2·(1 − 2)) for wrong ones.
    doubled = [math.log(2.0) / 2] * 2
    assert gradient(Vespo(), doubled, 1.0) == pytest.approx([-4 * math.exp(-3)] * 2)
    assert gradient(Vespo(), doubled, -1.0) == pytest.approx([8 * math.exp(-2)] * 2)
    assert gradient(Vespo(), [math.log(0.5)], 1.0) == pytest.approx([-0.25 * math.exp(1.5)])


def test_vespo_has_no_opinion_about_the_length_of_a_response_with_the_same_product() -> None:
    short, long = [math.log(0.5)], [math.log(0.5) / 10] * 10
    assert gradient(Vespo(), long, -1.0) == pytest.approx(gradient(Vespo(), short, -1.0) * 10)


def test_luspo_clips_whole_responses() -> None:
    assert bounded(Luspo(), [2.0, 0.9], 1.0) == [True, True]
    assert gradient(Luspo(), [math.log(2.0), math.log(0.9)], 1.0) == [0.0, 0.0]
    assert gradient(Luspo(), [0.001, 0.001], 1.0) == pytest.approx([-2 * math.exp(0.001)] * 2)


def test_dro_pulls_back_once_the_log_ratio_of_the_response_exceeds_the_advantage_over_beta() -> None:
    assert gradient(Dro(beta=0.5), [0.5, 0.5], 1.0) == pytest.approx([-0.5, -0.5])
    assert gradient(Dro(beta=0.5), [2.0, 2.0], 1.0) == pytest.approx([1.0, 1.0])
    assert gradient(Dro(beta=2.0), [0.25, 0.25], 1.0) == [0.0, 0.0]


def test_dro_squares_the_log_ratio_of_the_response_and_not_of_each_token() -> None:
    # Tokens that moved by +1 and −1 have a response that has not moved: nothing to pull back.
    assert gradient(Dro(), [1.0, -1.0], 1.0) == [-1.0, -1.0]


def test_dro_pulls_a_response_without_an_advantage_back_and_keeps_its_weight() -> None:
    """A = 0, β = 2 and log-ratios of 0.3 and 0.2: every token has the gradient β·0.5; at ρ = 1 it has none."""
    assert gradient(Dro(beta=2.0), [0.3, 0.2], 0.0) == pytest.approx([1.0, 1.0])
    assert gradient(Dro(beta=2.0), [0.0, 0.0], 0.0) == [0.0, 0.0]
    step = made_step([[1.0, 1.0], [1.0, 0.0], [Outcome.TIMEOUT, 1.0]], lengths=[2, 1, 1, 2, 3, 1])
    for surrogate, expected in (
        (Dro(), [1 / 7] * 6 + [0.0] * 3 + [1 / 7]),
        (Gmpo(), [0, 0, 0] + [1 / 7] * 3 + [0] * 4),
    ):
        weight_N = PolicyGradient(advantage=GroupMean(), surrogate=surrogate).credit(step, {}).weight_N
        assert weight_N.tolist() == pytest.approx(expected), surrogate
    only_wrong = PolicyGradient(advantage=GroupMean(), surrogate=Dro(), positive=0.0).credit(step, {})
    assert (only_wrong.weight_N > 0).tolist() == [False] * 4 + [True] * 2 + [False] * 4
