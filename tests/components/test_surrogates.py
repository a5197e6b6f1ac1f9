"""Surrogates against plain loops and hand-made numbers, where many tokens lie outside their bounds."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pytest
import torch
from prerl_components.objectives.presets.off_policy import Topr as ToprPreset
from prerl_components.surrogates.cispo import Cispo
from prerl_components.surrogates.clip import Clip
from prerl_components.surrogates.divergence import kl_of_token
from prerl_components.surrogates.dppo import Dppo
from prerl_components.surrogates.gspo import Gspo
from prerl_components.surrogates.plain import Plain
from prerl_components.surrogates.sapo import Sapo
from prerl_components.surrogates.topr import Topr
from torch import Tensor
from torch.testing import assert_close

from prerl_spec.sdk import Surrogate, Tokens
from prerl_spec.testing.laws import check_surrogate
from prerl_spec.testing.steps import made_step

F64 = torch.float64


class Token(NamedTuple):
    """A token as a loop sees it: only `logp` carries a gradient."""

    logp: Tensor
    old: float
    advantage: float

    @property
    def rho(self) -> Tensor:
        return torch.exp(self.logp - self.old)


def constant(value: float) -> Tensor:
    return torch.tensor(value, dtype=F64)


Response = list[Token]
Loop = Callable[[Response], list[Tensor]]


def clip_loop(low: float, high: float, dual: float = math.inf) -> Loop:
    def of(response: Response) -> list[Tensor]:
        losses = []
        for token in response:
            inside = min(max(token.rho, constant(1 - low)), constant(1 + high))
            loss = -min(token.rho * token.advantage, inside * token.advantage)
            losses.append(min(loss, constant(-dual * token.advantage)) if token.advantage < 0 else loss)
        return losses

    return of


def cispo_loop(cap: float) -> Loop:
    return lambda response: [-min(t.rho.item(), cap) * t.advantage * t.logp for t in response]


def gspo_loop(low: float, high: float) -> Loop:
    """The loss of the response as a whole, s differentiated, for each of its tokens (they share one advantage)."""

    def of(response: Response) -> list[Tensor]:
        s = torch.exp(torch.stack([t.logp - t.old for t in response]).mean())
        inside = min(max(s, constant(1 - low)), constant(1 + high))
        return [-min(s * t.advantage, inside * t.advantage) for t in response]

    return of


def sapo_loop(positive: float, negative: float) -> Loop:
    def of(response: Response) -> list[Tensor]:
        losses = []
        for token in response:
            tau = positive if token.advantage > 0 else negative
            gate = 4 / tau / (1 + torch.exp(-tau * (token.rho - 1)))
            losses.append(-gate * token.advantage)
        return losses

    return of


def dppo_loop(distance: str, delta: float, cap: float = math.inf) -> Loop:
    def of(response: Response) -> list[Tensor]:
        losses = []
        for token in response:
            rho, p, q = token.rho.item(), math.exp(token.logp.item()), math.exp(token.old)
            moved = abs(q - p) if distance == "tv" else q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))
            pushed = rho > 1 if token.advantage > 0 else rho < 1
            mask = 0.0 if pushed and moved > delta else 1.0
            losses.append(-mask * min(rho, cap) * token.advantage * token.logp)
        return losses

    return of


def topr_loop(level: str) -> Loop:
    def of(response: Response) -> list[Tensor]:
        gaps = [token.logp.item() - token.old for token in response]
        whole = {"sequence": sum(gaps), "geometric": sum(gaps) / len(gaps)}
        losses = []
        for token, gap in zip(response, gaps, strict=True):
            taper = 1.0 if token.advantage >= 0 else min(math.exp(whole.get(level, gap)), 1.0)
            losses.append(-taper * token.advantage * token.logp)
        return losses

    return of


@dataclass(frozen=True)
class Case:
    """The policy has moved the way that A pushes, as training does, against it, or to make every token likelier."""

    surrogate: Surrogate
    loop: Loop
    moved: Literal["with", "against", "up"] = "with"
    spread: float = 0.5


CASES = [
    Case(Clip(), clip_loop(0.2, 0.2)),
    Case(Clip(clip_low=0.1, clip_high=0.28, dual_clip=1.4), clip_loop(0.1, 0.28, 1.4)),
    Case(Clip(dual_clip=1.5), clip_loop(0.2, 0.2, 1.5), "up", 1.0),
    Case(Cispo(), cispo_loop(5.0), "up", 4.0),
    Case(Cispo(cap=1.5), cispo_loop(1.5), "up", 1.0),
    Case(Gspo(), gspo_loop(3e-4, 4e-4), spread=1e-3),
    Case(Gspo(clip_low=0.2, clip_high=0.1), gspo_loop(0.2, 0.1)),
    Case(Dppo(), dppo_loop("tv", 0.15), spread=1.0),
    Case(Dppo(distance="kl"), dppo_loop("kl", 0.05), spread=1.0),
    Case(Dppo(distance="kl", threshold=0.02, cap=1.2), dppo_loop("kl", 0.02, 1.2)),
    Case(Dppo(threshold=0.5, cap=1.2), dppo_loop("tv", 0.5, 1.2), "up", 1.0),
    Case(Topr(), topr_loop("sequence"), "against"),
    Case(Topr(level="geometric"), topr_loop("geometric"), "against"),
    Case(Topr(level="token"), topr_loop("token"), "against"),
]
WITHOUT_BOUNDS = [
    Case(Plain(), lambda response: [-t.advantage * t.logp for t in response]),
    Case(Sapo(), sapo_loop(1.0, 1.05), spread=1.0),
    Case(Sapo(tau_positive=0.5, tau_negative=3.0), sapo_loop(0.5, 3.0), spread=1.0),
]


def off_policy(case: Case) -> tuple[Tensor, Tensor, Tensor, Tokens]:
    """60 ragged responses of both signs, far from the old policy; all log-probabilities are below 0."""
    random = np.random.default_rng(11)
    lengths = random.integers(1, 9, size=60).tolist()
    tokens = made_step([[0.0] * 60], lengths=lengths).tokens
    advantage_S = random.normal(size=60)
    way_S = {"with": np.sign(advantage_S), "against": -np.sign(advantage_S), "up": np.ones(60)}[case.moved]
    gap_N = way_S[tokens.sample_N] * random.uniform(-0.2, 1.0, tokens.num_tokens) * case.spread
    base_N = random.uniform(-1.2, -0.05, tokens.num_tokens)
    logp_N, old_N = np.minimum(base_N + gap_N, base_N), np.minimum(base_N - gap_N, base_N)
    return torch.tensor(logp_N), torch.tensor(old_N), torch.tensor(advantage_S[tokens.sample_N]), tokens


def loop_losses(loop: Loop, logp: Tensor, old: Tensor, advantage: Tensor, tokens: Tokens) -> Tensor:
    found, start = [], 0
    for length in tokens.length_S.tolist():
        where = range(start, start + length)
        found += loop([Token(logp[i], old[i].item(), advantage[i].item()) for i in where])
        start += length
    return torch.stack(found)


@pytest.mark.parametrize("case", CASES + WITHOUT_BOUNDS, ids=lambda c: repr(c.surrogate))
def test_losses_and_gradients_are_those_of_a_loop_over_tokens(case: Case) -> None:
    logp, old, advantage, tokens = off_policy(case)
    ours, theirs = logp.clone().requires_grad_(), logp.clone().requires_grad_()
    loss = case.surrogate.loss(ours, old, advantage, tokens, {})
    expected = loop_losses(case.loop, theirs, old, advantage, tokens)
    assert_close(loss, expected, rtol=1e-12, atol=1e-14)
    (gradient,) = torch.autograd.grad(loss.sum(), ours)
    (from_loop,) = torch.autograd.grad(expected.sum(), theirs)
    assert_close(gradient, from_loop, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("case", CASES, ids=lambda c: repr(c.surrogate))
def test_many_tokens_of_that_batch_lie_outside_the_bounds_and_many_inside(case: Case) -> None:
    logp, old, advantage, tokens = off_policy(case)
    share = case.surrogate.bounded(logp, old, advantage, tokens, {}).double().mean().item()
    assert 0.3 <= share <= 0.9


@pytest.mark.parametrize("case", WITHOUT_BOUNDS[1:], ids=lambda c: repr(c.surrogate))
def test_a_surrogate_without_a_bound_is_tried_far_from_the_old_policy_and_never_bounded(case: Case) -> None:
    logp, old, advantage, tokens = off_policy(case)
    assert ((logp - old).abs() > math.log(1.2)).double().mean() >= 0.3
    assert not case.surrogate.bounded(logp, old, advantage, tokens, {}).any()


@pytest.mark.parametrize("case", CASES + WITHOUT_BOUNDS, ids=lambda c: repr(c.surrogate))
def test_every_setting_obeys_the_laws(case: Case) -> None:
    check_surrogate(case.surrogate)


@pytest.mark.parametrize("case", CASES + WITHOUT_BOUNDS, ids=lambda c: repr(c.surrogate))
def test_a_token_without_weight_gets_no_gradient_through_the_others_of_its_response(case: Case) -> None:
    logp, old, advantage, tokens = off_policy(case)
    logp.requires_grad_()
    weight = torch.rand(len(logp), generator=torch.Generator().manual_seed(0)).round()
    (weight * case.surrogate.loss(logp, old, advantage, tokens, {})).sum().backward()
    assert logp.grad is not None
    assert not logp.grad[weight == 0].any()
    assert logp.grad[weight == 1].any()


def one_response(surrogate: Surrogate, rho: list[float], advantage: float, logp: float = -1.0) -> tuple[Tensor, Tensor]:
    """Losses and gradients of a response of these ratios, whose tokens all have one log-probability."""
    tokens = made_step([[0.0]], lengths=[len(rho)]).tokens
    leaf = torch.full((len(rho),), logp, dtype=F64, requires_grad=True)
    old = leaf.detach() - torch.tensor([math.log(r) for r in rho], dtype=F64)
    loss = surrogate.loss(leaf, old, torch.full((len(rho),), advantage, dtype=F64), tokens, {})
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return loss.detach(), gradient


def nats(*values: float) -> Tensor:
    return torch.tensor(values, dtype=F64)


def test_cispo_caps_the_weight_and_keeps_the_gradient() -> None:
    for advantage in (1.0, -2.0):
        loss, gradient = one_response(Cispo(), [0.1, 2.0, 8.0], advantage)
        assert_close(gradient, -advantage * nats(0.1, 2.0, 5.0))
        assert_close(loss, advantage * nats(0.1, 2.0, 5.0))  # log π is −1


def test_gspo_clips_a_response_by_the_geometric_mean_of_its_ratios() -> None:
    rho = [math.exp(0.1), math.exp(-0.06)]
    loss, gradient = one_response(Gspo(clip_low=0.2, clip_high=0.03), rho, 1.0)
    assert_close(loss, nats(-1, -1) * math.exp(0.02))
    assert_close(gradient, nats(-1, -1) * math.exp(0.02))
    loss, gradient = one_response(Gspo(clip_low=0.2, clip_high=0.01), rho, 1.0)
    assert_close(loss, nats(-1.01, -1.01))
    assert_close(gradient, nats(0, 0))
    _, gradient = one_response(Gspo(clip_low=0.2, clip_high=0.01), rho, -1.0)
    assert_close(gradient, nats(1, 1) * math.exp(0.02))


def test_sapo_fades_on_both_sides_of_one_whatever_the_sign() -> None:
    """−sech²(τ(ρ−1)/2)·ρ·A; the value at ρ = 1 is −2A/τ."""
    for advantage, tau in ((1.0, 1.0), (-1.0, 1.05)):
        loss, gradient = one_response(Sapo(), [1.0, 3.0, 0.2], advantage)
        sech = [1 / math.cosh(tau * (rho - 1) / 2) ** 2 * rho for rho in (1.0, 3.0, 0.2)]
        assert_close(gradient, -advantage * nats(*sech))
        assert loss[0].item() == pytest.approx(-2 * advantage / tau)


def test_dppo_stops_what_has_moved_in_probability_and_not_in_ratio() -> None:
    """0.5 → 0.7 has moved by 0.2 > δ; 0.01 → 0.05 has five times the odds and moved by 0.04."""
    _, gradient = one_response(Dppo(), [1.4], 1.0, math.log(0.7))
    assert_close(gradient, nats(0))
    _, gradient = one_response(Dppo(), [5.0], 1.0, math.log(0.05))
    assert_close(gradient, nats(-5))
    _, gradient = one_response(Dppo(), [1.4], -1.0, math.log(0.7))
    assert_close(gradient, nats(1.4))
    _, gradient = one_response(Dppo(), [0.5], -1.0, math.log(0.3))
    assert_close(gradient, nats(0))
    _, gradient = one_response(Dppo(cap=3.0), [5.0], 1.0, math.log(0.05))
    assert_close(gradient, nats(-3))


def test_dppo_measures_the_divergence_from_the_old_policy_to_the_new() -> None:
    """KL(0.5‖0.7) = 0.0872; KL(0.6‖0.7) = 0.0226, and 0.0216 the other way round."""
    for threshold, kept in ((0.087, False), (0.0873, True)):
        _, gradient = one_response(Dppo(distance="kl", threshold=threshold), [1.4], 1.0, math.log(0.7))
        assert bool(gradient.any()) == kept
    for threshold, kept in ((0.0220, False), (0.0227, True)):
        _, gradient = one_response(Dppo(distance="kl", threshold=threshold), [7 / 6], 1.0, math.log(0.7))
        assert bool(gradient.any()) == kept


def test_a_sampled_token_of_probability_one_is_no_nan_for_dppo() -> None:
    for rho, logp in ((1.0, 0.0), (2.0, 0.0), (0.5, math.log(0.5))):
        for advantage in (1.0, -1.0):
            loss, gradient = one_response(Dppo(distance="kl"), [rho], advantage, logp)
            assert loss.isfinite().all()
            assert gradient.isfinite().all()


def test_the_automatic_threshold_is_the_papers_for_each_distance() -> None:
    assert (Dppo().delta, Dppo(distance="kl").delta, Dppo(threshold=0.3).delta) == (0.15, 0.05, 0.3)


def test_rounding_before_the_first_update_is_no_bound_of_topr() -> None:
    """Log π and log π_old are then of two forwards with other rows: the same number but for rounding."""
    tokens = made_step([[0.0, 0.0, 0.0]], lengths=[2, 2, 2]).tokens
    old_n = torch.full((6,), -1.0)
    logp_n = old_n + torch.tensor([1e-6, 1e-6, -1e-6, 0.0, 1e-3, 1e-3])
    bounded_n = Topr().bounded(logp_n, old_n, -torch.ones(6), tokens, {})
    assert bounded_n.tolist() == [False] * 4 + [True] * 2


def test_topr_tapers_a_wrong_response_as_a_whole_and_a_right_one_never() -> None:
    rho = [2.0, 0.25]
    for surrogate, taper in (
        (Topr(), (0.5, 0.5)),
        (Topr(level="geometric"), (math.sqrt(0.5), math.sqrt(0.5))),
        (Topr(level="token"), (1.0, 0.25)),
    ):
        _, gradient = one_response(surrogate, rho, -1.0)
        assert_close(gradient, nats(*taper))
        _, gradient = one_response(surrogate, rho, 1.0)
        assert_close(gradient, nats(-1, -1))
    _, gradient = one_response(ToprPreset().point().surrogate, [2.0, 3.0], -1.0)
    assert_close(gradient, nats(1, 1))


def test_a_cap_below_one_is_refused_since_it_would_be_read_as_an_epsilon() -> None:
    for cls in (Cispo, Dppo):
        with pytest.raises(ValueError, match="greater than or equal to 1"):
            cls(cap=0.2)


def test_a_probability_that_rounding_lifts_above_1_is_1() -> None:
    """A log-probability of 1e-7 leaves nothing to the other tokens: infinitely far from ½, and ½ is finitely far from it."""
    one, half = torch.tensor([1e-7], dtype=F64), torch.tensor([math.log(0.5)], dtype=F64)
    assert kl_of_token(one, half).tolist() == [math.inf]
    assert_close(kl_of_token(half, one), torch.tensor([math.log(2)], dtype=F64), rtol=1e-6, atol=0)
    assert kl_of_token(one, one).tolist() == [0.0]
