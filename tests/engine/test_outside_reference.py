"""Every update of the engine against training written out a second time: loss, gradient and counts."""

import pytest
import torch

from prerl_spec.testing.tiny import tiny_model
from tests.engine.outside_cases import CASES, batch, compared
from tests.engine.outside_reference import Scorer, Term

GRADIENT = 1e-5
"""Largest relative difference of a gradient. Rounding of float32 forwards and backwards makes 1e-6 to 4e-6 here (later
updates more, since weights drift apart)."""

LOSS = 3e-6
"""That of a loss, against the sum of its terms without signs."""


@pytest.mark.parametrize("name", CASES)
def test_every_update_has_the_reference_loss_and_gradient(name: str) -> None:
    both = compared(name)
    updates = both.outside.updates
    assert len(both.trained.updates) == len(both.given) == len(updates) > 0
    assert both.trained.num_updates == CASES[name].num_updates
    assert both.gradient_error <= GRADIENT, f"gradients differ by {both.gradient_error:.1e} of their norm"
    assert both.norm_error <= GRADIENT, f"reported norms differ by {both.norm_error:.1e}"
    assert both.loss_error <= LOSS, f"the loss differs by {both.loss_error:.1e}"
    assert both.trained.trained_tokens == both.outside.trained_tokens > 0
    assert both.trained.groups_with_signal == both.outside.groups_with_signal > 0


def test_the_cases_reach_what_they_are_for() -> None:
    """Old log-probabilities differ from current ones, clips act, and an update without weight is left out."""
    for name, case in CASES.items():
        first, *later = compared(name).outside.updates
        assert (first.num_clipped, first.largest_log_ratio) == (0, 0), "ρ = 1 before anything has moved"
        if case.num_updates > 1 and any(t.has_ratio for t in case.terms):
            assert sum(u.num_clipped for u in later) > 0, name
            assert all(u.largest_log_ratio > 0.1 for u in later), name
    assert len(compared("grpo 4").trained.updates) == 3, "one group of four has nothing to teach"
    clipped = compared("clipped gradients")
    assert all(r.grad_norm > 1 for r in clipped.trained.updates)
    assert all(
        torch.cat([g.flatten() for g in given.values()]).norm().item() == pytest.approx(0.05, rel=1e-4)
        for given in clipped.given
    )


def test_the_reference_scores_what_the_model_itself_says() -> None:
    """One sample by hand: environment tokens are read and not scored, and the temperature divides the logits."""
    module, group = tiny_model().eval().double(), batch().groups[1]
    attempt = group.attempts[2]
    logp_T, entropy_T = Scorer(module, 0.7)(Term("grpo"), group, attempt)
    ids = torch.tensor([[*group.prompt.context, *attempt.tokens]])
    logp_TV = (module(input_ids=ids).logits[0] / 0.7).log_softmax(-1)
    start = len(group.prompt.context)
    assert len(logp_T) == 9 + 8
    assert torch.equal(logp_T[0], logp_TV[start - 1, attempt.tokens[0]])
    assert torch.equal(logp_T[9], logp_TV[start + 9 + 14 - 1, attempt.tokens[9 + 14]])
    assert entropy_T[0].item() == pytest.approx(
        torch.distributions.Categorical(logits=logp_TV[start - 1]).entropy().item()
    )
