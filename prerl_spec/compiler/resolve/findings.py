"""What a pass over a spec finds: diagnostics, and the paths that nothing further may be said about."""

from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, Label, Span, Suggestion


class Details(TypedDict, total=False):
    """What a diagnostic may say besides its message; see `Diagnostic`."""

    caret: str
    labels: tuple[Label, ...]
    help: str | None
    notes: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    of_absence: bool


@dataclass
class Findings:
    """Diagnostics in the order in which they were found, and poisoned paths: what depends on one is left out."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    poisoned: set[str] = field(default_factory=set)

    def fail(
        self,
        code: Code,
        path: str,
        message: str,
        span: Span | None,
        *,
        poison: str | None = None,
        **details: Unpack[Details],
    ) -> None:
        """An error at a path, which it poisons, or at a part of `poison`, which it then poisons whole."""
        self.poisoned.add(path if poison is None else poison)
        self.diagnostics.append(Diagnostic(code, message, span, path, **details))
