"""Triples of gold answer, response and what is right, and how often a verifier says so, by kind.

False right and false wrong stay apart: the first is a reward hack, the second a training signal. A right answer that is
unparsable is neither, but it is a reward lost; a wrong one that is unparsable costs nothing.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from prerl_components.verifiers.math_verify import MathVerify

from prerl_spec.engine.verification.verifier_pool import VerifierPool
from prerl_spec.types import Outcome

ENTRY = "prerl_components.verifiers.math_verify:MathVerify"


class Triple(NamedTuple):
    """`Triple("percent", r"35\\%", r"\\boxed{0.35}", True)`."""

    kind: str
    gold: str
    response: str
    right: bool


@dataclass
class Rates:
    """Counts of one kind: right answers called wrong or unparsable, wrong answers called right, and no verdict."""

    right_answers: int = 0
    false_wrong: int = 0
    unparsable: int = 0
    wrong_answers: int = 0
    false_right: int = 0
    no_verdict: int = 0

    def add(self, right: bool, outcome: Outcome) -> bool:
        """Counts one verdict; whether it was a miss."""
        self.right_answers += right
        self.wrong_answers += not right
        self.no_verdict += outcome in (Outcome.TIMEOUT, Outcome.ERROR)
        self.false_wrong += right and outcome is Outcome.WRONG
        self.unparsable += right and outcome is Outcome.UNPARSABLE
        self.false_right += not right and outcome is Outcome.RIGHT
        return outcome is not Outcome.RIGHT if right else outcome not in (Outcome.WRONG, Outcome.UNPARSABLE)

    def __add__(self, other: "Rates") -> "Rates":
        return Rates(*(getattr(self, name) + getattr(other, name) for name in asdict(self)))


def read_triples(path: Path) -> list[Triple]:
    """The rows of a JSONL file with the keys kind, gold, response and right."""
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [Triple(row["kind"], row["gold"], row["response"], row["right"]) for row in rows]


def verdicts(triples: Sequence[Triple], *, workers: int = 2, seconds: float = 10.0) -> list[Outcome]:
    """What the built-in verifier says of each triple, in the worker processes that a run uses."""
    with VerifierPool(MathVerify(workers=workers, deadline_seconds=seconds), entry_value=ENTRY) as pool:
        found = pool.verify([(triple.response, triple.gold, False) for triple in triples])
    return [verdict.outcome for verdict in found]


def measured(triples: Sequence[Triple]) -> tuple[dict[str, Rates], list[dict[str, object]]]:
    """Rates by kind, and each miss with its verdict."""
    rates: dict[str, Rates] = {}
    misses: list[dict[str, object]] = []
    for triple, outcome in zip(triples, verdicts(triples), strict=True):
        if rates.setdefault(triple.kind, Rates()).add(triple.right, outcome):
            misses.append(triple._asdict() | {"verdict": outcome.value})
    return rates, misses


def table(title: str, rates: dict[str, Rates]) -> Iterable[str]:
    """Lines of a table: a kind a line, the sum last."""
    yield f"\n{title}"
    columns = (
        ("right", 6),
        ("false wrong", 12),
        ("unparsable", 11),
        ("wrong", 6),
        ("false right", 12),
        ("no verdict", 11),
    )
    yield f"  {'kind':36} " + " ".join(f"{name:>{width}}" for name, width in columns)
    for kind, row in [*rates.items(), ("all", sum(rates.values(), Rates()))]:
        yield (
            f"  {kind:36} {row.right_answers:6} {row.false_wrong:12} {row.unparsable:11} "
            f"{row.wrong_answers:6} {row.false_right:12} {row.no_verdict:11}"
        )
