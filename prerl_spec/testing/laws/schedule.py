"""The laws of schedules: a pure fold over steps that ends when declared, even if it is interrupted."""

import json
from collections.abc import Mapping
from typing import Any

from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.schedule import Schedule
from prerl_spec.testing.laws.together import Laws
from prerl_spec.types import StepRecord

State = Mapping[str, float]


def made_record(step: int, **metrics: float) -> StepRecord:
    """The record of a step that generated 100 tokens and applied its update."""
    return StepRecord("phase", step, step, 1, 1, metrics, 100, 50, {"total": 1.0})


def check_schedule(schedule: Component, **metrics: float) -> None:
    """Raises AssertionError, with a message, if a schedule breaks a law; `metrics` are those of each step."""
    with Laws(schedule):
        named: Any = schedule
        clock: Schedule = named
        assert clock.optimizer in (None, "carry", "reset"), f"optimizer is {clock.optimizer!r}"
        assert clock.lr_schedule in ("restart", "carry"), f"lr_schedule is {clock.lr_schedule!r}"
        assert clock.reference in ("resync", "keep"), f"reference is {clock.reference!r}"
        assert clock.data in ("carry", "restart"), f"data is {clock.data!r}"
        limit = clock.max_steps
        assert limit is None or limit >= 1, f"max_steps is {limit}"
        state: State = clock.initial()
        for step in range(1, (limit or 10_000) + 1):
            before = dict(state)
            record = made_record(step, **metrics)
            after, over = clock.after(record, state)
            assert dict(state) == before, "after() modifies the state it is passed: it must return a new one"
            again = clock.after(record, json.loads(json.dumps(before)))
            assert again == (after, over), (
                "after() returns another result from the same state after a round trip through JSON"
            )
            state = after
            if over:
                return
        assert limit is None, f"not over after max_steps = {limit} steps"
        raise AssertionError("not over after 10000 steps of 100 generated tokens")
