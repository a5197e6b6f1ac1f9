"""The baseline that remembers: against a loop over steps, by hand, and against the laws of advantages and of states."""

import numpy as np
import pytest
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_spec.sdk import Batch, Outcome, State, Step
from prerl_spec.testing.laws import check_advantage, check_objective
from prerl_spec.testing.laws.schedule import made_record
from prerl_spec.testing.steps import made_step

from prerl_zoo.moving_baseline import MovingBaseline

STEPS = [
    made_step([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]),
    made_step([[0.25]]),
    made_step([[1.0, Outcome.TIMEOUT], [0.0, 1.0]]),
    made_step([[Outcome.ERROR, Outcome.TIMEOUT]]),
    made_step([[0.5, 0.0]]),
]


def after(part: MovingBaseline, state: State, step: Step, number: int = 1) -> State:
    return part.after(Batch(step, {}, state), made_record(number), state)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999])
def test_each_step_is_compared_with_the_weighted_mean_of_those_before(decay: float) -> None:
    part = MovingBaseline(decay=decay)
    state, means = part.initial(), []
    for number, step in enumerate(STEPS):
        weights = [decay ** (len(means) - 1 - age) for age in range(len(means))]
        pairs = zip(weights, means, strict=True)
        baseline = sum(w * m for w, m in pairs) / sum(weights) if means else 0.0
        expected = [0.0 if np.isnan(reward) else reward - baseline for reward in step.reward_S]
        assert part.advantage(Batch(step, {}, state)).tolist() == pytest.approx(expected, abs=1e-12)
        scored = [reward for reward in step.reward_S if not np.isnan(reward)]
        if scored:
            means.append(sum(scored) / len(scored))
        state = after(part, state, step, number)


def test_the_first_step_has_no_baseline_and_the_second_the_mean_of_the_first() -> None:
    part = MovingBaseline()
    assert part.advantage(Batch(STEPS[0])).tolist() == [1.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    state = after(part, part.initial(), STEPS[0])
    assert state == {"baseline": 0.5, "weight": 1.0}
    assert part.advantage(Batch(STEPS[1], {}, state)).tolist() == [-0.25]
    # (0.9·0.5 + 0.25) / 1.9
    assert after(part, state, STEPS[1]) == pytest.approx({"baseline": 0.7 / 1.9, "weight": 1.9})


def test_a_step_without_a_reward_earns_nothing_and_is_not_remembered() -> None:
    part, state = MovingBaseline(), {"baseline": 0.5, "weight": 2.0}
    assert after(part, state, STEPS[3]) == state
    assert part.advantage(Batch(STEPS[3], {}, state)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_it_obeys_the_laws(decay: float) -> None:
    check_advantage(MovingBaseline(decay=decay))
    check_objective(PolicyGradient(advantage=MovingBaseline(decay=decay)))
