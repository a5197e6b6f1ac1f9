"""What each token earns and weighs: hand-sized steps, and an explicit loop over samples as the reference."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from prerl_components.advantages.group_mean import GroupMean
from prerl_components.advantages.group_std import GroupStd
from prerl_components.advantages.minus_one import MinusOne
from prerl_components.objectives.aggregation import token_weights
from prerl_components.objectives.centring import centred
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.objectives.presets.flat import Preset
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import (
    MarginalNsr,
    MarginalObjective,
    MarginalPg,
    MarginalPsr,
)
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.surrogates.plain import Plain
from torch import Tensor

from prerl_spec.sdk import Batch, Credit, Need, Outcome, Step, Tokens, Verdict
from prerl_spec.testing.laws import check_objective
from prerl_spec.testing.steps import Result, made_documents, made_step

UNPARSABLE, TIMEOUT, ERROR = Outcome.UNPARSABLE, Outcome.TIMEOUT, Outcome.ERROR
HANGS = Verdict(TIMEOUT, 0.0, by_answer=True)
"""The verdict on an answer that keeps the verifier busy, with `on_timeout = "unparsable"`."""
# One right of three, and three of four with a timeout beside them; the tokens are 2 3 5 | 1 1 2 4 7.
RESULTS: list[list[Result]] = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 1.0, TIMEOUT]]
LENGTHS = [2, 3, 5, 1, 1, 2, 4, 7]


def hand_step() -> Step:
    return made_step(RESULTS, lengths=LENGTHS)


def per_sample(step: Step, credit: Credit) -> tuple[list[float], list[float]]:
    """Advantage and weight of each sample, all of whose tokens must agree."""
    start = np.cumsum(step.tokens.length_S) - step.tokens.length_S
    for vector in (credit.advantage_N, credit.weight_N):
        assert_array_equal(vector, vector[start][step.tokens.sample_N])
    return credit.advantage_N[start].tolist(), credit.weight_N[start].tolist()


def test_grpo_whitens_within_the_group_and_averages_samples_then_tokens() -> None:
    step = hand_step()
    advantage, weight = per_sample(step, Grpo().credit(step, {}))
    first, second = np.sqrt(1 / 3) + 1e-6, 0.5 + 1e-6
    expected = [2 / 3 / first, -1 / 3 / first, -1 / 3 / first, 0.25 / second, 0.25 / second, -0.75 / second]
    assert_allclose(advantage, [*expected, 0.25 / second, 0.0], rtol=1e-15)
    assert_allclose(weight, [1 / (7 * length) for length in LENGTHS[:7]] + [0.0], rtol=1e-15)


def test_marginal_nsr_trains_wrong_samples_only_and_counts_their_tokens() -> None:
    step = hand_step()
    credit = MarginalNsr(coefficient=0.01).credit(step, {})
    advantage, weight = per_sample(step, credit)
    assert_allclose([advantage[i] for i in (1, 2, 5)], [-1 / 3, -1 / 3, -3 / 4], rtol=1e-15)
    assert_allclose(weight, [0, 0.001, 0.001, 0, 0, 0.001, 0, 0], rtol=1e-15)  # 3 + 5 + 2 tokens
    assert credit.denominator == "tokens of the update: 10"


def test_marginal_psr_trains_right_samples_only() -> None:
    step = hand_step()
    _, weight = per_sample(step, MarginalPsr().credit(step, {}))
    assert_allclose(weight, [1 / 8, 0, 0, 1 / 8, 1 / 8, 0, 1 / 8, 0], rtol=1e-15)  # 2 + 1 + 1 + 4 tokens


def test_a_group_without_signal_carries_no_weight_but_stays_in_the_denominator_of_pg_and_grpo() -> None:
    step = made_step([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]], lengths=[1, 2, 3, 4, 5, 6])
    for objective in (MarginalPg(), Grpo(aggregation="token_mean")):
        _, weight = per_sample(step, objective.credit(step, {}))
        assert_allclose(weight, [1 / 21, 1 / 21, 0, 0, 0, 0], rtol=1e-15)
    _, weight = per_sample(step, MarginalNsr().credit(step, {}))
    assert_allclose(weight, [0, 1 / 2, 0, 0, 0, 0], rtol=1e-15)


def test_minus_one_trains_all_wrong_groups_as_well() -> None:
    step = made_step([[0.0, 0.0], [1.0, 0.25]], lengths=[1, 1, 1, 2])
    advantage, weight = per_sample(step, MarginalNsr(advantage="minus_one").credit(step, {}))
    assert advantage == [-1.0, -1.0, 0.0, -0.75]
    assert_allclose(weight, [1 / 4, 1 / 4, 0, 1 / 4], rtol=1e-15)


def test_centring_gives_both_signs_that_sum_to_zero_in_each_group() -> None:
    """k of G right: k(G−k)/G² for right ones, −k²/G² for wrong ones; every scored token counts."""
    step = hand_step()
    advantage, weight = per_sample(step, MarginalNsr(center="group").credit(step, {}))
    assert_allclose(advantage[:3], [2 / 9, -1 / 9, -1 / 9], rtol=1e-14)
    assert_allclose(advantage[3:7], [3 / 16, 3 / 16, -9 / 16, 3 / 16], rtol=1e-14)
    assert_allclose(weight, [1 / 18] * 7 + [0.0], rtol=1e-15)


def test_centring_by_sequence_mean_makes_the_coefficients_on_log_probabilities_sum_to_zero() -> None:
    """A token of a short response weighs more: the mean is weighted by 1/T_i, so that Σ wᵢA′ᵢ = 0, not Σ A′ᵢ."""
    step = made_step([[1.0, 0.0]], lengths=[1, 3])
    credit = MarginalPg(center="group", aggregation="sequence_mean").credit(step, {})
    advantage, weight = per_sample(step, credit)
    assert_allclose(weight, [1 / 2, 1 / 6], rtol=1e-15)
    assert_allclose(advantage, [1 / 4, -3 / 4], rtol=1e-15)


@pytest.mark.parametrize("unparsable", [UNPARSABLE, HANGS], ids=["unparsable", "an answer's timeout"])
def test_a_masked_unparsable_response_counts_in_the_mean_but_is_not_trained(unparsable: Result) -> None:
    step = made_step([[1.0, 0.0, unparsable, unparsable]], lengths=[1, 1, 1, 1])
    advantage, weight = per_sample(step, MarginalPg(unparsable="mask").credit(step, {}))
    assert_allclose(advantage[:2], [0.75, -0.25], rtol=1e-15)
    assert_allclose(weight, [1 / 2, 1 / 2, 0, 0], rtol=1e-15)
    _, as_wrong = per_sample(step, MarginalNsr().credit(step, {}))
    assert_allclose(as_wrong, [0, 1 / 3, 1 / 3, 1 / 3], rtol=1e-15)
    advantage, _ = per_sample(step, MarginalNsr(unparsable="mask", center="group").credit(step, {}))
    assert_allclose(advantage, [0.125, -0.125, 0, 0], rtol=1e-15)


@pytest.mark.parametrize("lone", [[1.0, TIMEOUT], [TIMEOUT, 0.0, ERROR], [1.0], [TIMEOUT, TIMEOUT]])
@pytest.mark.parametrize(
    "objective", [Grpo(), MarginalPg(), MarginalNsr(), MarginalNsr(advantage="minus_one", center="group")]
)
def test_fewer_than_two_scored_attempts_are_no_group(objective: Preset, lone: list[Result]) -> None:
    credit = objective.credit(made_step([lone]), {})
    assert not credit.weight_N.any()


def test_equal_rewards_earn_exactly_nothing_whatever_the_rounding() -> None:
    """0.1 + 0.1 + 0.1 over 3 is not 0.1: divided by a std near 0, the difference would train."""
    step = made_step([[0.1, 0.1, 0.1]], lengths=[1, 1, 1])
    assert step.reward_S.mean() != 0.1
    for part in (GroupStd(), GroupMean()):
        assert_array_equal(part.advantage(Batch(step)), 0.0)
    assert_array_equal(centred(step.reward_S, np.ones(3), step), 0.0)


def test_rounding_chooses_no_sign() -> None:
    """The middle one of 0.1, 0.2, 0.3 lies 3e-17 below the computed mean: marginal_nsr must not train on it."""
    step = made_step([[0.1, 0.2, 0.3]], lengths=[1, 1, 1])
    assert 0.2 - np.mean([0.1, 0.2, 0.3]) < 0
    _, weight = per_sample(step, MarginalNsr().credit(step, {}))
    assert weight == [1.0, 0.0, 0.0]


def test_unscored_samples_are_outside_mean_and_count() -> None:
    batch = Batch(made_step([[1.0, TIMEOUT, 0.0, 0.0]]))
    assert_allclose(GroupMean().advantage(batch), [2 / 3, 0, -1 / 3, -1 / 3], rtol=1e-15)
    assert_allclose(MinusOne().advantage(batch), [0, 0, -1, -1], rtol=0)


def test_each_aggregation_divides_by_what_it_names() -> None:
    tokens, mask_S = hand_step().tokens, np.array([True, False, True, False, False, True, False, False])
    start = np.cumsum(LENGTHS) - LENGTHS
    expected = {
        "token_mean": ([1 / 9, 0, 1 / 9, 0, 0, 1 / 9, 0, 0], "tokens of the update: 9"),
        "sequence_mean": (
            [1 / 6, 0, 1 / 15, 0, 0, 1 / 6, 0, 0],
            "samples of the update x tokens of the sample: 3 x T_i",
        ),
        "constant": ([1 / 60, 0, 1 / 60, 0, 0, 1 / 60, 0, 0], "samples of the update x max_new_tokens: 3 x 20"),
    }
    for aggregation, (weight, name) in expected.items():
        weight_N, denominator = token_weights(aggregation, mask_S[tokens.sample_N], tokens, 20)
        assert_allclose(weight_N[start], weight, rtol=1e-15)
        assert denominator == name


def test_an_empty_response_is_no_sample() -> None:
    step = made_step([[1.0, 0.0]], lengths=[0, 4])
    credit = MarginalPg(aggregation="sequence_mean").credit(step, {})
    assert_allclose(credit.weight_N, [1 / 4] * 4, rtol=1e-15)


def test_documents_all_train_and_a_penalty_weighs_every_scored_token() -> None:
    documents = made_documents([3, 1])
    assert_allclose(NextToken().credit(documents, {}).weight_N, [1 / 4] * 4, rtol=1e-15)
    step = made_step([[0.0, 0.0, TIMEOUT]], lengths=[1, 3, 2])
    credit = Kl(coefficient=0.5).credit(step, {})
    assert_allclose(credit.weight_N, [1 / 8] * 4 + [0, 0], rtol=1e-15)


def loop_reference(objective: Preset, step: Step) -> list[tuple[float, float]]:
    """(advantage, weight) of each sample by plain loops over groups and attempts, as method.md tells it."""
    rows: list[tuple[float, bool, int]] = []
    for group in step.groups:
        scored = [a.reward for a in group.attempts if a.reward is not None]
        mean = sum(scored) / max(1, len(scored))
        spread = (sum((r - mean) ** 2 for r in scored) / max(1, len(scored) - 1)) ** 0.5
        found: list[list[Any]] = []
        for attempt in group.attempts:
            reward = attempt.reward
            unreadable = attempt.verdict is not None and (
                attempt.verdict.outcome is Outcome.UNPARSABLE or attempt.verdict == HANGS
            )
            if reward is None:
                found.append([0.0, False, attempt.num_trained])
                continue
            alone = len(scored) < 2
            if isinstance(objective, Grpo):
                advantage = 0.0 if alone else (reward - mean) / (spread + 1e-6)
            elif isinstance(objective, MarginalObjective) and objective.advantage == "minus_one":
                advantage = reward - 1.0
            else:
                advantage = 0.0 if alone else reward - mean
            counts = not (unreadable and objective.unparsable == "mask")
            found.append([advantage, counts, attempt.num_trained])
        if isinstance(objective, MarginalObjective):
            keep = {"both": lambda a: True, "negative": lambda a: a < 0, "positive": lambda a: a > 0}[objective.selects]
            if objective.center == "none":
                for row in found:
                    row[1] = row[1] and keep(row[0])
            else:
                members = [row for row in found if row[1]]
                for row in members:
                    row[0] = row[0] if keep(row[0]) else 0.0
                weights = [1 / row[2] if objective.aggregation == "sequence_mean" else 1.0 for row in members]
                middle = sum(w * row[0] for w, row in zip(weights, members, strict=True)) / max(1e-9, sum(weights))
                for row in found:
                    row[0] = row[0] - middle if row[1] and len(members) > 1 else 0.0
        rows += [(a, c, n) for a, c, n in found]
    num_samples = sum(c for _, c, _ in rows)
    num_tokens = sum(n for _, c, n in rows if c)
    divisor = {
        "token_mean": lambda n: num_tokens,
        "sequence_mean": lambda n: num_samples * n,
        "constant": lambda n: num_samples * step.max_new_tokens,
    }[objective.aggregation]
    return [(a, objective.coefficient / divisor(n) if c and abs(a) > 1e-12 else 0.0) for a, c, n in rows]


@pytest.mark.parametrize("seed", range(3))
def test_credit_agrees_with_a_loop_over_groups_and_attempts(seed: int) -> None:
    random = np.random.default_rng(seed)
    menu: list[Result] = [1.0, 0.0, 0.0, 0.5, UNPARSABLE, HANGS, TIMEOUT, ERROR]
    results = [[menu[i] for i in random.integers(0, len(menu), size=random.integers(1, 7))] for _ in range(12)]
    step = made_step(results, seed=seed)
    shared = [
        {"aggregation": a, "unparsable": u, "coefficient": 0.7}
        for a, u in product(("token_mean", "sequence_mean", "constant"), ("wrong", "mask"))
    ]
    own = [{"advantage": a, "center": c} for a, c in product(("group_mean", "minus_one"), ("none", "group"))]
    objectives: list[Preset] = [Grpo(**s) for s in shared]
    objectives += [cls(**s, **o) for cls in (MarginalPg, MarginalNsr, MarginalPsr) for s in shared for o in own]
    for objective in objectives:
        advantage, weight = per_sample(step, objective.credit(step, {}))
        expected = loop_reference(objective, step)
        assert_allclose(weight, [w for _, w in expected], rtol=1e-13, err_msg=repr(objective))
        carrying = [(a, e) for a, w, (e, _) in zip(advantage, weight, expected, strict=True) if w]
        assert_allclose([a for a, _ in carrying], [e for _, e in carrying], rtol=1e-12, err_msg=repr(objective))


class Pulling(Plain):
    """−A log π + (log ρ)²/2: a token of advantage 0 has a gradient too."""

    uses_ratio = True
    trains_zero = True

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        return super().loss(logp_n, old_n, advantage_n, tokens, more) + (logp_n - old_n).square() / 2


def test_where_advantage_0_has_a_gradient_scored_and_unmasked_tokens_keep_their_weight() -> None:
    """A group of equal rewards, a mixed one, and a timeout beside one that has nothing to compare with."""
    step = made_step([[1.0, 1.0], [1.0, UNPARSABLE], [TIMEOUT, 1.0]], lengths=[2, 1, 1, 2, 3, 1])
    pulling = PolicyGradient(advantage=GroupMean(), surrogate=Pulling())
    assert per_sample(step, pulling.credit(step, {}))[1] == pytest.approx([1 / 7] * 4 + [0.0, 1 / 7])
    masked = pulling.model_copy(update={"unparsable": "mask"})
    assert per_sample(step, masked.credit(step, {}))[1] == pytest.approx([1 / 5] * 3 + [0.0, 0.0, 1 / 5])
    only_wrong = pulling.model_copy(update={"positive": 0.0})
    assert per_sample(step, only_wrong.credit(step, {}))[1] == pytest.approx([0, 0, 0, 1 / 2, 0, 0])
    plain = PolicyGradient(advantage=GroupMean(), surrogate=Plain())
    assert per_sample(step, plain.credit(step, {}))[1] == pytest.approx([0, 0, 1 / 7, 1 / 7, 0, 0])
    assert (pulling.trains_zero, plain.trains_zero) == (True, False)
    check_objective(pulling)
