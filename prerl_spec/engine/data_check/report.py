"""What a check of a spec's data has found: findings by data set, and what could not be known here."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong; in the order in which a report names them."""

    UNREADABLE = "unreadable row"
    EMPTY = "question without text"
    GOLD = "gold answer that fails"
    TOO_LONG = "prompt that is too long"
    TWO_GOLDS = "question with two golds"
    REPEAT = "repeated question"
    OVERLAP = "overlap with a benchmark"


@dataclass(frozen=True)
class Finding:
    """`Finding(Kind.GOLD, ("train.jsonl:7",), "`12:00` is judged wrong against itself", stops_run=True)`.

    `stops_run`: `run` refuses the row, or trains on a question that no answer can be right for.
    """

    kind: Kind
    places: tuple[str, ...]
    message: str
    stops_run: bool = False


@dataclass(frozen=True)
class DataReport:
    """The findings of one data set; `unknown` holds, for each check that could not be made, why."""

    name: str
    num_rows: int | None
    num_golds: int = 0
    """Distinct gold answers that were judged."""
    findings: tuple[Finding, ...] = ()
    unknown: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BenchmarkReport:
    """A benchmark that training texts were compared with, or why they could not be."""

    name: str
    num_questions: int | None
    unknown: str | None = None


@dataclass(frozen=True)
class CheckReport:
    """All that a check found."""

    data: tuple[DataReport, ...]
    benchmarks: tuple[BenchmarkReport, ...]

    def findings(self) -> Iterator[Finding]:
        for one in self.data:
            yield from one.findings

    @property
    def stops_run(self) -> bool:
        return any(finding.stops_run for finding in self.findings())
