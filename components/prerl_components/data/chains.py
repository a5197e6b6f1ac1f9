"""Chains of two-digit arithmetic: how one is drawn, its question and answer, and the part of the data it belongs to.

Every intermediate value is in 0 … 99; operands are 2 … 9, factors 2 or 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from random import Random
from string import ascii_lowercase
from typing import Literal, NamedTuple, TypeVar

Part = Literal["prompts", "corpus", "easy", "hard"]
Operation = Literal["+", "-", "*"]

OPERATIONS: tuple[Operation, ...] = ("+", "-", "*")
OPERANDS: dict[Operation, tuple[int, ...]] = {"+": tuple(range(2, 10)), "-": tuple(range(2, 10)), "*": (2, 3)}
LARGEST = 99
MAX_STEPS = 26
"""Steps are labelled a … z."""

# Sixteenths of all chains. A chain's part is a function of its hash, so no seed and no number of steps can put a held-out
# question among the prompts or into the corpus.
SHARES: dict[Part, range] = {
    "corpus": range(10),
    "prompts": range(10, 14),
    "easy": range(14, 15),
    "hard": range(15, 16),
}
PART_OF_SIXTEENTH = tuple(part for part, share in SHARES.items() for _ in share)

T = TypeVar("T")


class Draws:
    """Random choices that are the same in every version of Python: `random` guarantees this for `random()` only."""

    def __init__(self, *key: object) -> None:
        self._random = Random("/".join(map(str, key)))

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def between(self, least: int, most: int) -> int:
        """A random integer in [least, most], both ends included."""
        return least + int(self._random.random() * (most - least + 1))

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[int(self._random.random() * len(choices))]


class Step(NamedTuple):
    operation: Operation
    operand: int

    def applied(self, value: int) -> int:
        match self.operation:
            case "+":
                return value + self.operand
            case "-":
                return value - self.operand
            case "*":
                return value * self.operand

    def carries(self, value: int) -> bool:
        """Whether the tens change by a carry or a borrow from the ones."""
        ones = Step(self.operation, self.operand).applied(value % 10)
        return not 0 <= ones <= 9

    def __str__(self) -> str:
        return f"{self.operation}{self.operand}"


@dataclass(frozen=True)
class Chain:
    """A start value and the steps applied to it: `Chain(29, (Step("+", 8), Step("*", 2)))`."""

    start: int
    steps: tuple[Step, ...]

    @cached_property
    def question(self) -> str:
        """`Q: 29 a:+8 b:*2 ?`"""
        steps = " ".join(f"{label}:{step}" for label, step in zip(ascii_lowercase, self.steps, strict=False))
        return f"Q: {self.start} {steps} ?"

    @property
    def answer(self) -> int:
        value = self.start
        for step in self.steps:
            value = step.applied(value)
        return value

    @property
    def response(self) -> str:
        """The right response in its shortest form: ` a:29+8=37. b:37*2=74. answer \\boxed{74}`."""
        value, lines = self.start, []
        for label, step in zip(ascii_lowercase, self.steps, strict=False):
            lines.append(f" {label}:{value}{step}={step.applied(value)}.")
            value = step.applied(value)
        return f"{''.join(lines)} answer \\boxed{{{value}}}"

    @property
    def part(self) -> Part:
        """The only part of the data that this chain belongs to."""
        return PART_OF_SIXTEENTH[blake2b(self.question.encode(), digest_size=8).digest()[0] % 16]


STEPS: tuple[tuple[Step, ...], ...] = tuple(tuple(Step(o, n) for n in OPERANDS[o]) for o in OPERATIONS)
"""The steps of each operation."""


def stays_in_range(value: int, steps: Sequence[Step]) -> bool:
    """Whether every value after each of these steps is in 0 … 99."""
    for step in steps:
        value = step.applied(value)
        if not 0 <= value <= LARGEST:
            return False
    return True


def draw_chain(draws: Draws, part: Part, num_steps: int) -> Chain:
    """Rejection-samples a chain of this part: 16 draws on average for a held-out part."""
    while True:
        start = draws.between(0, LARGEST)
        chain = Chain(start, _draw_steps(draws, start, num_steps))
        if chain.part == part:
            return chain


@lru_cache(maxsize=2**14)
def prompt_chain(part: Part, seed: int, least: int, most: int, index: int) -> Chain:
    """The chain of a prompt, by its index in the data set; a process keeps those of the last two or so data sets, since the
    plan, the checks before a run and every step read the same rows."""
    draws = Draws("arithmetic_chains", part, seed, least, most, index)
    return draw_chain(draws, part, draws.between(least, most))


def _draw_steps(draws: Draws, value: int, num_steps: int) -> tuple[Step, ...]:
    steps: list[Step] = []
    while len(steps) < num_steps:
        step = draws.one_of(draws.one_of(STEPS))
        after = step.applied(value)
        if 0 <= after <= LARGEST:
            steps.append(step)
            value = after
    return tuple(steps)
