"""Previews a part of the policy-gradient product beside the built-in default of its kind, as ASCII lines."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from prerl_spec.engine.inspect.part_responses import RATIOS, correction_responses, surrogate_responses
from prerl_spec.report.terminal.token_table import PartOfTokens
from prerl_spec.types import Array, Step
from prerl_spec.views import Conditional

SHOWN_GROUPS = 2
RAMP_STEPS = (0, 1, 5, 10, 15, 20, 25, 29)


def advantage_table(step: Step, mine: PartOfTokens, theirs: PartOfTokens) -> Iterator[str]:
    """One line for each sample of some groups: what it earns by both. Groups whose rewards differ come first."""
    yield f"  {'':<11} {'reward':>7}  {mine.name[:18]:>18}  {theirs.name[:18]:>18}"
    for group in _worth_seeing(step):
        yield f"  {step.groups[group].prompt.question or ''}"
        for sample in np.flatnonzero(step.group_S == group):
            attempt = step.samples[sample]
            outcome = attempt.stop if attempt.verdict is None else attempt.verdict.outcome.value
            reward = "none" if attempt.reward is None else f"{attempt.reward:.3g}"
            own = step.tokens.sample_N == sample
            cells = (f"{_range(part.advantage_N[own]):>18}" for part in (mine, theirs))
            yield f"  {outcome:<11} {reward:>7}  {'  '.join(cells)}"


def surrogate_table(mine: Any, theirs: Any, name: str, default: str) -> Iterator[str]:
    """Loss, and gradient with respect to log π, of one token by its ratio to the old policy, right (A = 1) and wrong
    (A = −1); nothing for a surrogate that reads further vectors."""
    if mine.needs(Conditional()):
        return
    yield "one token by its ratio to the old policy, loss and gradient of log pi:"
    heads = [f"{who[:16]}, A = {sign}" for who in (name, default) for sign in ("1", "-1")]
    yield f"  {'ratio':>6}  {'  '.join(f'{head:>22}' for head in heads)}"
    columns = [surrogate_responses(surrogate, advantage) for surrogate in (mine, theirs) for advantage in (1.0, -1.0)]
    for row, ratio in enumerate(RATIOS):
        cells = (f"{loss[row]:>11.3f}{gradient[row]:>11.3f}" for loss, gradient in columns)
        yield f"  {ratio:>6.2f}  {'  '.join(f'{cell:>22}' for cell in cells)}"


def correction_table(mine: Any, theirs: Any, name: str, default: str) -> Iterator[str]:
    """The weight of a response of one token by its ratio to the sampler, right (A = 1) and wrong (A = −1)."""
    yield "the weight of a response of one token, by the ratio of trainer and sampler:"
    heads = [f"{who[:16]}, A = {sign}" for who in (name, default) for sign in ("1", "-1")]
    yield f"  {'ratio':>6}  {'  '.join(f'{head:>22}' for head in heads)}"
    columns = [
        correction_responses(correction, advantage) for correction in (mine, theirs) for advantage in (1.0, -1.0)
    ]
    for row, ratio in enumerate(RATIOS):
        yield f"  {ratio:>6.2f}  {'  '.join(f'{column[row]:>22.3f}' for column in columns)}"


def ramp_table(ramp: Any) -> Iterator[str]:
    """The coefficient in some steps of a phase of 30."""
    yield f"  {'step':<11}  {'  '.join(f'{step:>7}' for step in RAMP_STEPS)}"
    yield f"  {'coefficient':<11}  {'  '.join(f'{ramp.at(step):>7.4g}' for step in RAMP_STEPS)}"


def _worth_seeing(step: Step) -> list[int]:
    spread = [len({a.reward for a in group.attempts}) for group in step.groups]
    return sorted(range(len(spread)), key=lambda group: spread[group] < 2)[:SHOWN_GROUPS]


def _range(values: Array) -> str:
    """One number where all tokens of a sample earn the same."""
    if not len(values):
        return "no token"
    low, high = float(values.min()), float(values.max())
    return f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"
