"""The laws of a component's state: a pure fold over steps whose numbers survive a checkpoint."""

import json
from typing import Any

from prerl_spec.registry.component import Component
from prerl_spec.registry.component_state import Read, from_json, initial_states, states_after, to_json
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.testing.laws.schedule import made_record
from prerl_spec.types import Step

METRICS = {
    "reward_mean": 0.5,
    "response_length": 12.0,
    "truncated": 0.25,
    "entropy": 0.9,
    "loss": 0.1,
    "lr": 1e-6,
    "grad_norm": 1.5,
    "parameters_moved": 0.5,
    "groups_with_signal": 0.75,
    "groups_discarded": 0.0,
    "logp_conditional": -0.7,
}
"""What a component may read of a step's record, beside verdict shares."""


def check_states(objective: Objective | Component, step: Step, read: Read) -> None:
    """Raises AssertionError, with a message, unless the states of an objective's components (or of an advantage, by itself)
    are a pure fold over steps."""
    states = initial_states(objective)
    assert states == initial_states(objective), "initial() returns another state when called again: it must be pure"
    for number in range(1, 4):
        record = made_record(number, **{name: value * number for name, value in METRICS.items()})
        before = _text(states)
        after = states_after(objective, step, read, record, states)
        assert _text(states) == before, "after() modifies the state that it is passed: it must return a new one"
        restored = from_json(json.loads(before))
        again = states_after(objective, step, read, record, restored)
        assert _text(again) == _text(after), "after() returns another state after a checkpoint: it must be pure"
        states = after


def _text(states: Any) -> str:
    return json.dumps(to_json(states), sort_keys=True)
