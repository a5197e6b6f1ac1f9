"""Results of a pass over a spec: diagnostics, and poisoned paths, about which nothing further is reported."""

from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, Label, Span, Suggestion


class Details(TypedDict, total=False):
    """Optional fields of a diagnostic; see `Diagnostic`."""

    caret: str
    labels: tuple[Label, ...]
    help: str | None
    notes: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    of_absence: bool


@dataclass
class Findings:
    """Diagnostics in the order found, and poisoned paths: checks that depend on one are skipped."""

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
        """Records an error at `path` and poisons that path, or the enclosing path `poison` if given."""
        self.poisoned.add(path if poison is None else poison)
        self.diagnostics.append(Diagnostic(code, message, span, path, **details))
