"""The page that `try` ends with: rewards at their height, whatever their range."""

from prerl_spec.report.terminal.trial import reward_page


def test_rewards_up_to_one_stand_between_zero_and_the_next_tenth() -> None:
    page = reward_page([0.1, 0.2, 0.3])
    assert page.startswith("mean reward of each of 3 batches")
    assert " 0.40 |" in page
    assert " 0.00 +---" in page
    assert "mean of the first third 0.100, of the last third 0.300." in page


def test_penalties_stand_below_zero_and_bonuses_above_one() -> None:
    page = reward_page([-0.25, 1.25])
    assert " 1.30 |" in page
    assert "-0.30 +--" in page


def test_a_reward_of_one_is_the_top() -> None:
    assert " 1.00 |  *" in reward_page([0.0, 0.5, 1.0])


def test_nothing_rewarded_is_an_empty_curve() -> None:
    assert "mean reward of each of 0 batches" in reward_page([])
