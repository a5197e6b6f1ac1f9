"""What can go wrong, as values: diagnostics that point at a spec, and errors that end a command with a documented exit code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prerl_spec.codes import Code, Severity


@dataclass(frozen=True, order=True)
class Span:
    """A stretch of a source text; lines and columns are 1-based, columns count code points, the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class Label:
    """A second place that matters to a diagnostic, and what it has to do with it."""

    span: Span
    text: str


@dataclass(frozen=True)
class Suggestion:
    """A hint that could be applied: `replacement` takes the place of the text under the carets."""

    message: str
    replacement: str


@dataclass(frozen=True)
class Diagnostic:
    """One mistake: what it is (`message`, lower-case, stands alone), where (`span`, `path`) and what would be right.

    Example: `Diagnostic(Code.UNKNOWN_COMPONENT, "unknown objective `marginal_nrs`", span,
    path="phases[0].objective.use", caret="did you mean `marginal_nsr`?")`.
    """

    code: Code
    message: str
    span: Span | None = None
    path: str = ""
    caret: str = ""
    labels: tuple[Label, ...] = ()
    help: str | None = None
    notes: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    of_absence: bool = False
    """Whether the mistake is that something is not written, which a parent that cannot be read may have written."""

    @property
    def severity(self) -> Severity:
        return self.code.severity


class PrerlError(Exception):
    """A cause that a user can act on: `message` says what and where, `hint` says what would be right."""

    exit_code: int = 5
    code: Code | None = None
    """The code that `prerl-spec explain` knows, where there is one."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SpecInvalid(PrerlError):
    """The spec is wrong (exit 1, or what its diagnostics say); carries every diagnostic, warnings included, and the texts
    that they quote, as far as those stand in no file."""

    exit_code = 1

    def __init__(self, diagnostics: Sequence[Diagnostic], sources: Mapping[str, str] | None = None) -> None:
        errors = sum(d.severity == "error" for d in diagnostics)
        super().__init__(f"{errors} error{'s' if errors != 1 else ''} in the spec")
        self.diagnostics = tuple(diagnostics)
        self.sources = sources or {}
        self.exit_code = exit_code_of(self.diagnostics) or SpecInvalid.exit_code


def exit_code_of(diagnostics: Sequence[Diagnostic]) -> int:
    """0 without errors; 1 for a mistake in the spec, else 3 for what the environment lacks, else 4 for lock drift."""
    return min((d.code.exit_code for d in diagnostics if d.severity == "error"), default=0)


class UsageError(PrerlError):
    """The command was called wrongly: a file that is not there, a run folder that is taken (exit 2)."""

    exit_code = 2


class EnvironmentUnmet(PrerlError):
    """Something outside the spec is missing: a package, a hub, hardware, a file of rows (exit 3)."""

    exit_code = 3


class Drift(PrerlError):
    """A lock or a resume that would mean something else (exit 4)."""

    exit_code = 4
    code = Code.LOCK_DRIFT


class RunFailed(PrerlError):
    """The run could not go on: non-finite values, verifier faults, a gap between sampler and trainer (exit 5)."""

    exit_code = 5


class PeerLost(RunFailed):
    """Another process of the same run has failed; its own message says why (exit 5)."""


class Interrupted(PrerlError):
    """Stopped by a signal after the current unit of work; the same command goes on (exit 75)."""

    exit_code = 75
