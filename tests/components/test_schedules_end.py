"""When a phase is over, to the step, and what its hand-over settings may say."""

from typing import Any

import pytest
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.optimizers.adamw import Adamw
from prerl_components.schedules.fixed_steps import FixedSteps
from prerl_components.schedules.reincarnate_after import ReincarnateAfter
from prerl_components.schedules.until_plateau import UntilPlateau

from prerl_spec.sdk import Handover, Place, RunFailed, StepRecord, Wiring
from prerl_spec.testing.laws import check_schedule
from prerl_spec.testing.laws.schedule import made_record


def steps_taken(schedule: Any, records: list[StepRecord]) -> int:
    """How many of these steps the phase takes."""
    state = schedule.initial()
    for number, record in enumerate(records, start=1):
        state, over = schedule.after(record, state)
        if over:
            return number
    raise AssertionError(f"not over after {len(records)} steps: {state}")


def steps_of(values: list[float | None]) -> list[StepRecord]:
    return [made_record(n, **({} if v is None else {"reward_mean": v})) for n, v in enumerate(values, start=1)]


@pytest.mark.parametrize(
    "schedule", [FixedSteps(steps=1), FixedSteps(steps=7), ReincarnateAfter(), ReincarnateAfter(tokens=950)], ids=repr
)
def test_every_schedule_obeys_the_laws(schedule: Handover) -> None:
    check_schedule(schedule)


def test_a_plateau_obeys_the_laws() -> None:
    check_schedule(UntilPlateau(metric="reward_mean", patience=3, steps=9), reward_mean=0.5)


@pytest.mark.parametrize("steps", [1, 2, 19, 20, 21])
def test_a_phase_takes_exactly_its_steps(steps: int) -> None:
    records = [made_record(n) for n in range(1, 100)]
    assert steps_taken(FixedSteps(steps=steps), records) == steps
    assert steps_taken(ReincarnateAfter(steps=steps), records) == steps


def test_a_warm_up_is_20_steps_unless_told() -> None:
    assert steps_taken(ReincarnateAfter(), [made_record(n) for n in range(1, 100)]) == 20
    assert ReincarnateAfter().max_steps == 20


@pytest.mark.parametrize(("tokens", "steps"), [(1, 1), (100, 1), (101, 2), (1000, 10)])
def test_a_token_budget_ends_with_the_step_that_reaches_it(tokens: int, steps: int) -> None:
    budget = ReincarnateAfter(tokens=tokens)
    assert steps_taken(budget, [made_record(n) for n in range(1, 100)]) == steps
    assert budget.max_steps is None


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ([0.1, 0.2, 0.2, 0.2, 0.2], 4),  # best at step 2, flat for 2
        ([0.1, 0.2, 0.1, 0.3, 0.3, 0.2, 0.9], 6),  # a new best at step 4 starts the count anew
        ([0.1, None, None, 0.1], 4),  # judged where it is measured only
        ([-2.0, -1.0, -1.5, -1.5], 4),  # a negative metric has a best too
        ([0.1 * n for n in range(20)], 10),  # rising for ever: `steps` at most
    ],
)
def test_a_plateau_is_patience_steps_without_a_new_best(values: list[float | None], taken: int) -> None:
    assert steps_taken(UntilPlateau(metric="reward_mean", patience=2, steps=10), steps_of(values)) == taken


def test_a_plateau_of_a_score_is_read_from_the_scores() -> None:
    records = [
        StepRecord("phase", n, n, 1, 1, {}, 100, 50, {}, {"heldout/avg@4": 0.5} if n % 2 == 0 else {})
        for n in range(1, 30)
    ]
    assert steps_taken(UntilPlateau(metric="heldout/avg@4", patience=4, steps=20), records) == 6


def test_a_metric_that_nobody_measures_fails_with_the_names_that_are() -> None:
    with pytest.raises(RunFailed, match="'reward_maen' was not measured in 3 steps") as caught:
        steps_taken(UntilPlateau(metric="reward_maen", patience=3, steps=10), steps_of([0.1] * 10))
    assert "reward_mean" in str(caught.value.hint)


def conflicts(schedule: Handover, written: str, **wiring: Any) -> list[tuple[str, tuple[Place, ...]]]:
    wired = Wiring(written=frozenset(written.split()), schedule=schedule, **wiring)
    return [(c.code, c.places) for c in schedule.check(wired)]


def test_hand_over_settings_of_the_last_phase_have_no_effect() -> None:
    schedule = FixedSteps(steps=3, optimizer="carry", data="restart")
    found = conflicts(schedule, "steps optimizer data", is_last_phase=True, optimizer=Adamw(lr=1.0))
    assert found == [("W0702", (Place("self", "optimizer"),)), ("W0702", (Place("self", "data"),))]
    assert conflicts(FixedSteps(steps=3), "steps", is_last_phase=True) == []


def test_steps_and_tokens_are_one_or_the_other() -> None:
    schedule, places = ReincarnateAfter(steps=5, tokens=100), (Place("self", "steps"), Place("self", "tokens"))
    assert conflicts(schedule, "steps tokens") == [("E0701", places)]
    assert conflicts(ReincarnateAfter(tokens=100), "tokens") == []


def test_a_budget_of_generated_tokens_needs_a_phase_that_generates() -> None:
    places = (Place("objective", "use"), Place("self", "tokens"))
    budget = ReincarnateAfter(tokens=100)
    assert conflicts(budget, "tokens", objective=NextToken()) == [("E0701", places)]
    assert conflicts(budget, "tokens", objective=Grpo()) == []
    assert conflicts(ReincarnateAfter(), "", objective=NextToken()) == []
