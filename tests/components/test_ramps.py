"""The values of ramps, written out; and which step an objective asks them for, also in a run's second phase."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.ramps.cosine import Cosine
from prerl_components.ramps.linear import Linear

from prerl_spec.sdk import Component, Step
from prerl_spec.testing.steps import made_documents, made_step
from tests.engine.runs import SPEC, start, steps_of


def test_a_linear_ramp_begins_at_start_and_stays_at_end_from_step_steps_on() -> None:
    falling, rising = Linear(start=1.0, end=0.0, steps=4), Linear(start=0.2, end=0.6, steps=2)
    assert [falling.at(step) for step in range(7)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0, 0.0]
    assert_allclose([rising.at(step) for step in (0, 1, 2, 3, 1000)], [0.2, 0.4, 0.6, 0.6, 0.6], rtol=1e-15)


def test_a_cosine_ramp_is_level_at_both_ends_and_halfway_in_the_middle() -> None:
    """(1 − cos 45°)/2 = 0.1464… and (1 − cos 135°)/2 = 0.8535… of the way."""
    falling, rising = Cosine(start=1.0, end=0.0, steps=4), Cosine(start=0.2, end=0.6, steps=2)
    written = [1.0, 0.8535533905932737, 0.5, 0.14644660940672627, 0.0, 0.0, 0.0]
    assert_allclose([falling.at(step) for step in range(7)], written, rtol=0, atol=1e-15)
    assert_allclose([rising.at(step) for step in (0, 1, 2, 3, 1000)], [0.2, 0.4, 0.6, 0.6, 0.6], rtol=1e-15)


def of_phase(step: Step, number: int) -> Step:
    """The step as the one of this number (from 1) in a phase that began after ten steps of the run."""
    return replace(step, step=number, global_step=10 + number)


@pytest.mark.parametrize(
    ("objective", "step"),
    [
        (Grpo(coefficient=Linear(start=0.5, end=0.1, steps=4), aggregation="token_mean"), made_step([[1.0, 0.0]])),
        (Entropy(coefficient=Linear(start=0.5, end=0.1, steps=4)), made_step([[1.0, 0.0]])),
        (NextToken(coefficient=Linear(start=0.5, end=0.1, steps=4)), made_documents((3, 2))),
    ],
    ids=["grpo", "entropy", "next_token"],
)
def test_a_credit_asks_for_the_step_of_its_phase(objective: Component, step: Step) -> None:
    """A token of N weighs 0.5/N in the phase's first step, 0.4/N in its second, 0.1/N in its fifth and after."""
    for number, value in ((1, 0.5), (2, 0.4), (5, 0.1), (6, 0.1)):
        weight_N = objective.credit(of_phase(step, number), {}).weight_N  # type: ignore[attr-defined]
        assert_allclose(weight_N, np.full(step.tokens.num_tokens, value / step.tokens.num_tokens), rtol=1e-14)


RAMP = 'coefficient = { use = "linear", start = 1.0, end = 0.0, steps = 1 }'
PHASES = f"""
[[phases]]
id = "pretrain"
data = "corpus"
documents_per_step = 4
objective = {{ use = "next_token", {RAMP} }}
schedule = {{ use = "fixed_steps", steps = 3 }}

[[phases]]
id = "prune"
prompts_per_step = 4
objective = {{ use = "marginal_nsr", advantage = "minus_one", {RAMP} }}
schedule = {{ use = "fixed_steps", steps = 2 }}
"""


def test_in_a_run_each_phase_begins_its_ramp_anew(tmp_path: Path) -> None:
    """From 1 to 0 in one step: of every phase the first step is trained, and no other."""
    steps = steps_of(start(tmp_path, SPEC[: SPEC.index("[[phases]]")] + PHASES))
    trained = [(step["phase"], step["step"], step["tokens"]["trained"] > 0) for step in steps]
    assert trained == [
        *(("pretrain", 1, True), ("pretrain", 2, False), ("pretrain", 3, False)),
        *(("prune", 1, True), ("prune", 2, False)),
    ]
