"""Which tokens a selection keeps, by hand and by plain loops, and what that does to the denominators."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from prerl_components.advantages.group_mean import GroupMean
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.selections.cov_mask import CovMask
from prerl_components.selections.lots import lots
from prerl_components.selections.top_entropy import TopEntropy

from prerl_spec.sdk import Array, Batch, Conditional, Need, Outcome, Selection, Step, Wiring
from prerl_spec.testing.laws import check_objective, check_selection
from prerl_spec.testing.steps import made_step

ENTROPY = Need(Conditional(), "old", entropy=True)
OLD = Need(Conditional(), "old")


@pytest.mark.parametrize(
    "selection",
    [
        *(TopEntropy(), TopEntropy(share=0.5), TopEntropy(share=1.0)),
        *(CovMask(), CovMask(share=0.3, low=0.2), CovMask(share=1.0, low=-5.0, high=0.0)),
    ],
    ids=repr,
)
def test_every_setting_obeys_the_laws(selection: Selection) -> None:
    check_selection(selection)
    check_objective(PolicyGradient(advantage=GroupMean(), selection=(selection,)))


def test_the_share_of_the_most_uncertain_tokens_is_kept_and_ties_with_them() -> None:
    step = made_step([[1.0, 0.0]], lengths=[5, 5])
    entropy = np.array([0.0, 9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0])
    batch, advantage = Batch(step, {ENTROPY: entropy}), np.full(10, -1.0)
    assert entropy[TopEntropy(share=0.2).keep(batch, advantage)].tolist() == [9, 8]
    assert entropy[TopEntropy(share=0.5).keep(batch, advantage)].tolist() == [9, 8, 7, 6, 5]
    assert TopEntropy(share=1.0).keep(batch, advantage).all()
    ties = Batch(step, {ENTROPY: np.array([1.0] * 6 + [0.0] * 4)})
    assert TopEntropy(share=0.2).keep(ties, advantage).sum() == 6


def test_tokens_without_an_advantage_are_not_ranked() -> None:
    step = made_step([[1.0, 0.0]], lengths=[5, 5])
    entropy = np.array([50.0] * 5 + [0.0, 1.0, 2.0, 3.0, 4.0])
    advantage = np.array([0.0] * 5 + [1.0] * 5)
    kept = TopEntropy(share=0.4).keep(Batch(step, {ENTROPY: entropy}), advantage)
    assert kept[5:].tolist() == [False, False, False, True, True]


def test_what_top_entropy_drops_leaves_the_denominator() -> None:
    """Ten tokens, two kept: 1/2 each, as in the paper; TRL would give 1/10."""
    step = made_step([[1.0, 0.0]], lengths=[5, 5])
    entropy = np.arange(10.0)
    credit = PolicyGradient(advantage=GroupMean(), selection=(TopEntropy(),)).credit(step, {ENTROPY: entropy})
    assert_allclose(credit.weight_N, [0] * 8 + [1 / 2] * 2, rtol=1e-15)
    assert credit.denominator == "tokens of the update: 2"


def test_what_cov_mask_drops_still_counts_in_the_denominator() -> None:
    step, logp = covarying()
    credit = PolicyGradient(advantage=GroupMean(), selection=(CovMask(share=0.1),)).credit(step, {OLD: logp})
    assert (credit.weight_N == 0).sum() == int(0.1 * len(logp))
    assert_allclose(credit.weight_N[credit.weight_N > 0], 1 / len(logp), rtol=1e-15)


def covarying() -> tuple[Step, Array]:
    """Right responses that the policy was sure of, wrong ones that it was not: a fifth of the covariances exceed 1."""
    step = made_step([[1.0, 0.0, 1.0, 0.0]] * 6, lengths=[20] * 24)
    right_N = step.reward_S[step.tokens.sample_N] == 1
    random = np.random.default_rng(0)
    return step, np.where(right_N, random.uniform(-2, 0, 480), random.uniform(-6, -2, 480))


def test_clip_cov_drops_by_lot_among_the_tokens_of_high_covariance_only() -> None:
    step, logp = covarying()
    advantage = np.where(step.reward_S == 1, 1.5, 0.5)[step.tokens.sample_N]
    middle = sum(logp) / len(logp), sum(advantage) / len(advantage)
    cov = np.array([(x - middle[0]) * (a - middle[1]) for x, a in zip(logp, advantage, strict=True)])
    may = (cov >= 1.0) & (cov <= 5.0)
    assert 48 < may.sum() < 480
    kept = CovMask(share=0.1).keep(Batch(step, {OLD: logp}), advantage)
    assert (~kept).sum() == 48
    assert may[~kept].all()
    every = CovMask(share=1.0).keep(Batch(step, {OLD: logp}), advantage)
    assert_array_equal(every, ~may)
    assert (
        CovMask(share=0.1, low=1.5, high=1.6).keep(Batch(step, {OLD: logp}), advantage)[(cov < 1.5) | (cov > 1.6)].all()
    )


def test_the_paper_share_of_a_small_batch_is_no_token() -> None:
    step, logp = covarying()
    advantage = GroupMean().advantage(Batch(step))[step.tokens.sample_N]
    assert CovMask().keep(Batch(step, {OLD: logp}), advantage).all()


def test_lots_are_a_function_of_the_step_and_even() -> None:
    step, _ = covarying()
    assert_array_equal(lots(step), lots(step))
    assert len(np.unique(lots(step))) == 480
    later = Step(step.phase, step.step + 1, step.global_step + 1, step.groups)
    assert not (lots(step) == lots(later)).any()
    assert abs((lots(step) / 2.0**64).mean() - 0.5) < 0.05
    assert len(lots(made_step([]))) == 0
    paired = [replace(step, global_step=before + 1, streams="phase") for before in (0, 5)]
    assert_array_equal(*map(lots, paired))


def test_covariances_without_an_inside_are_refused() -> None:
    (conflict,) = CovMask(low=5.0, high=1.0).check(Wiring(written=frozenset({"low"})))
    assert (conflict.code, [p.setting for p in conflict.places]) == ("E0701", ["low", "high"])
    assert "no token would be dropped" in conflict.message
    assert list(CovMask().check(Wiring(written=frozenset()))) == []


def test_an_unscored_response_reaches_no_selection() -> None:
    """Its entropies are the highest, and it is neither trained nor counted."""
    step = made_step([[1.0, 0.0, Outcome.TIMEOUT]], lengths=[5, 5, 5])
    credit = PolicyGradient(advantage=GroupMean(), selection=(TopEntropy(),)).credit(step, {ENTROPY: np.arange(15.0)})
    assert_allclose(credit.weight_N, [0] * 8 + [1 / 2] * 2 + [0] * 5, rtol=1e-15)


class Sees(Selection):
    """Keeps everything, and what it was shown."""

    def keep(self, batch: Batch, advantage_N: Array) -> npt.NDArray[np.bool_]:
        SHOWN.append(advantage_N.copy())
        return np.ones(len(advantage_N), dtype=bool)


SHOWN: list[Array] = []


def test_a_selection_sees_advantage_0_where_nothing_may_be_trained() -> None:
    """Masked, unscored, and of a deselected sign: their tokens must not be ranked. One token a sample."""
    step = made_step([[1.0, 0.0, Outcome.UNPARSABLE, Outcome.TIMEOUT, 0.0]], lengths=[1] * 5)
    for settings, expected in (
        ({}, [0.75, -0.25, -0.25, 0.0, -0.25]),
        ({"unparsable": "mask"}, [0.75, -0.25, 0.0, 0.0, -0.25]),
        ({"unparsable": "mask", "positive": 0.0}, [0.0, -0.25, 0.0, 0.0, -0.25]),
    ):
        SHOWN.clear()
        PolicyGradient.model_validate({"advantage": GroupMean(), "selection": (Sees(),), **settings}).credit(step, {})
        assert_allclose(SHOWN[0], expected, rtol=1e-15)


def test_the_share_that_selections_keep_is_of_the_tokens_with_an_advantage() -> None:
    """Ten tokens of a mixed group and ten of a group of equal rewards: of the former, two are kept, and one of them alone
    by both selections."""
    step = made_step([[1.0, 0.0], [1.0, 1.0]], lengths=[5] * 4)
    entropy = np.concatenate([np.arange(10.0), np.full(10, 99.0)])
    one = PolicyGradient(advantage=GroupMean(), selection=(TopEntropy(share=0.2),))
    assert one.credit(step, {ENTROPY: entropy}).measures == {"selected": (2.0, 10.0)}
    both = PolicyGradient(advantage=GroupMean(), selection=(TopEntropy(share=0.2), TopEntropy(share=0.1)))
    assert both.credit(step, {ENTROPY: entropy}).measures == {"selected": (1.0, 10.0)}
    assert PolicyGradient(advantage=GroupMean()).credit(step, {}).measures == {}
    nothing = made_step([[1.0, 1.0]], lengths=[5, 5])
    assert one.credit(nothing, {ENTROPY: entropy[:10]}).measures == {"selected": (0.0, 0.0)}
