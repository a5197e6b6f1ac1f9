"""The page that `try` ends with: rewards at their height, whatever their range."""

import numpy as np
from prerl_components.corrections.mask import Mask
from prerl_components.corrections.truncate import Truncate
from prerl_components.ramps.linear import Linear
from prerl_components.surrogates.clip import Clip
from prerl_components.surrogates.plain import Plain

from prerl_spec.engine.training.token_terms import PartTerms
from prerl_spec.report.terminal.part_preview import advantage_table, correction_table, ramp_table, surrogate_table
from prerl_spec.report.terminal.trial import reward_page
from prerl_spec.testing.steps import made_step
from prerl_spec.types import Outcome, StepRecord


def steps(*rewards: float, idle: int = 0) -> list[StepRecord]:
    """A record a reward; the first `idle` of them applied no update."""
    return [
        StepRecord("try", i + 1, i + 1, 1, int(i >= idle), {"reward_mean": reward}, 8, 8, {})
        for i, reward in enumerate(rewards)
    ]


def test_steps_without_an_update_are_counted() -> None:
    assert reward_page(steps(0.0, 0.5, 0.5, idle=1)).startswith("mean reward of each of 3 batches, an update after 2")


def test_rewards_up_to_one_stand_between_zero_and_the_next_tenth() -> None:
    page = reward_page(steps(0.1, 0.2, 0.3))
    assert page.startswith("mean reward of each of 3 batches")
    assert " 0.40 |" in page
    assert " 0.00 +---" in page
    assert "mean of the first third 0.100, of the last third 0.300." in page


def test_penalties_stand_below_zero_and_bonuses_above_one() -> None:
    page = reward_page(steps(-0.25, 1.25))
    assert " 1.30 |" in page
    assert "-0.30 +--" in page


def test_a_reward_of_one_is_the_top() -> None:
    assert " 1.00 |  *" in reward_page(steps(0.0, 0.5, 1.0))


def test_nothing_rewarded_is_an_empty_curve() -> None:
    assert "mean reward of each of 0 batches" in reward_page([])


def cells(line: str) -> list[float]:
    return [float(word) for word in line.split()]


def test_a_surrogate_is_shown_by_ratio_with_its_gradient_beside_the_clip() -> None:
    _, _, *rows = surrogate_table(Plain(), Clip(), "mine", "clip")
    by_ratio = {ratio: rest for ratio, *rest in map(cells, rows)}
    assert by_ratio[1.0] == [0, -1, 0, 1, -1, -1, 1, 1]
    assert by_ratio[2.0] == [-0.693, -1, 0.693, 1, -1.2, 0, 2, 2]


def test_a_correction_is_shown_by_ratio_beside_the_cap() -> None:
    _, _, *rows = correction_table(Mask(), Truncate(), "mine", "truncate")
    by_ratio = {ratio: rest for ratio, *rest in map(cells, rows)}
    assert by_ratio[0.5] == [0.5] * 4
    assert by_ratio[10.0] == [0, 0, 2, 2]


def test_an_advantage_is_shown_sample_by_sample_and_groups_that_differ_come_first() -> None:
    step = made_step([[0.0, 0.0], [1.0, Outcome.TIMEOUT, 0.25]], lengths=[1, 1, 2, 1, 2])
    earned_N = np.array([0.0, 0.0, 0.5, 0.5, 0.0, -0.5, 0.25])
    mine, theirs = (PartTerms(name, earned_N, earned_N, earned_N, earned_N, "tokens") for name in ("mine", "group_std"))
    lines = [line.split() for line in advantage_table(step, mine, theirs)]
    assert lines[1:5] == [
        ["question", "1"],
        ["right", "1", "0.500", "0.500"],
        ["timeout", "none", "0.000", "0.000"],
        ["wrong", "0.25", "-0.500", "to", "0.250", "-0.500", "to", "0.250"],
    ]
    assert lines[5] == ["question", "0"]


def test_a_ramp_is_shown_by_step() -> None:
    steps, values = ramp_table(Linear(start=1.0, end=0.0, steps=10))
    assert cells(steps.removeprefix("  step")) == [0, 1, 5, 10, 15, 20, 25, 29]
    assert cells(values.removeprefix("  coefficient")) == [1, 0.9, 0.5, 0, 0, 0, 0, 0]
