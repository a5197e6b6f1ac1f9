"""Data sets: rows of questions with gold answers, or of documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from prerl_spec.registry.kinds.declared import Declared
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.types import Rendering, Row

if TYPE_CHECKING:
    pass


class DataSet(Protocol):
    """Rows by index; the same index always returns the same row."""

    @property
    def rendering(self) -> Rendering: ...
    @property
    def max_prompt_tokens(self) -> int | None: ...
    @property
    def over_long(self) -> Literal["error", "drop"]: ...
    @property
    def on_bad_row(self) -> Literal["error", "drop"]:
        """What happens to an unusable row: unreadable, or with a gold answer that the verifier cannot parse."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content of the rows: part of the plan digest."""
        ...

    @property
    def dropped(self) -> int:
        """Number of unreadable rows that were dropped because the spec allows it."""
        ...

    def __len__(self) -> int: ...
    def row(self, index: int) -> Row: ...


@runtime_checkable
class ReadFromSource(Protocol):
    """A data set read from a source of somebody's own, whose rows may be at fault: a file, the hub."""

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Place and reason of each unreadable row that was dropped: ("rows.jsonl:7: not JSON",)."""
        ...


class Data(Declared, Protocol):
    """A named source of questions with gold answers, or of documents."""

    @property
    def verifier(self) -> Verifier | None:
        """The data set's own verifier, if its answers need one."""
        ...

    def open(self, name: str) -> DataSet:
        """Reads and checks every row: an unreadable row is an error with file and line. No torch."""
        ...

    def tokenizer_files(self) -> Mapping[str, str] | None:
        """Files of the tokenizer that the data set provides (name -> content), or None."""
        ...
