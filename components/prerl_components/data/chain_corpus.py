"""Pre-training documents: responses with systematic mistakes.

Half of the carries are forgotten, so that greedy decoding is wrong where sampling is sometimes right: with random slips
alone the most likely response is already right, and RL could only sharpen the distribution.
"""

from dataclasses import dataclass
from string import ascii_lowercase
from typing import Literal

from prerl_components.data.chains import LARGEST, OPERANDS, OPERATIONS, Chain, Draws, Step, stays_in_range

FORGOTTEN_CARRY = 0.5
"""Fraction of the steps with a carry or borrow whose result is off by ten."""
SLIP = 0.025
WRONG_OPERATION = 0.025
WRONG_OPERAND = 0.02
SKIPPED = 0.02
REDONE = 0.25
"""Fraction of the mistakes followed by ` wait` and the corrected step."""
CHECKED = 0.05
"""Fraction of the right steps followed by ` check … ok`."""
JOINED = 0.5
"""Fraction of the steps after the first that are introduced by one of JOINTS."""
JOINTS = (" then", " so", " next")
RESPONSE_ONLY = 0.25
"""Fraction of the documents without their question, so that P(y) is in distribution."""
LONGER = 0.06
"""Fraction of the documents with one to three steps more than the configured maximum."""

Mistake = Literal["carry", "slip", "operation", "operand", "skip"]


@dataclass(frozen=True)
class Line:
    """One written step: `29+8` = 27, and which mistake it contains."""

    step: Step
    result: int
    mistake: Mistake | None = None


def write_response(chain: Chain, draws: Draws) -> str:
    """A response to the chain, mistakes included; the boxed answer is the result of the written steps."""
    value, text = chain.start, ""
    for place, step in enumerate(chain.steps):
        label, rest = ascii_lowercase[place], chain.steps[place + 1 :]
        line = _write_line(draws, value, step, rest)
        if line.mistake == "skip":
            continue
        joint = draws.one_of(JOINTS) if place > 0 and draws.chance(JOINED) else ""
        text += f"{joint} {label}:{value}{line.step}={line.result}."
        if line.mistake is not None and draws.chance(REDONE):
            line = Line(step, step.applied(value))
            text += f" wait {label}:{value}{line.step}={line.result}."
        elif line.mistake is None and draws.chance(CHECKED):
            text += f" check {value}{line.step}={line.result} ok."
        value = line.result
    return f"{text} answer \\boxed{{{value}}}"


def _write_line(draws: Draws, value: int, step: Step, rest: tuple[Step, ...]) -> Line:
    """The step, right or wrong; a mistake that would take the rest of the chain out of 0 … 99 is not used."""
    right = Line(step, step.applied(value))
    line = _mistaken(draws, value, right) or right
    in_range = 0 <= line.result <= LARGEST and stays_in_range(line.result, rest)
    return line if in_range else right


def _mistaken(draws: Draws, value: int, right: Line) -> Line | None:
    step, result = right.step, right.result
    if step.carries(value) and draws.chance(FORGOTTEN_CARRY):
        return Line(step, result + 10 if step.operation == "-" else result - 10, "carry")
    if draws.chance(SLIP):
        return Line(step, result + draws.one_of((-2, -1, 1, 2)), "slip")
    if draws.chance(WRONG_OPERATION):
        operation = draws.one_of([o for o in OPERATIONS if o != step.operation and step.operand in OPERANDS[o]])
        other = Step(operation, step.operand)
        return Line(other, other.applied(value), "operation")
    if draws.chance(WRONG_OPERAND):
        operand = draws.one_of([o for o in OPERANDS[step.operation] if o != step.operand])
        other = Step(step.operation, operand)
        return Line(other, other.applied(value), "operand")
    if draws.chance(SKIPPED):
        return Line(step, value, "skip")
    return None
