"""Diagnostics that point into a spec, and exceptions that end a command with a documented exit code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prerl_spec.codes import Code, Severity


@dataclass(frozen=True, order=True)
class Span:
    """A range of source text; lines and columns are 1-based, columns count code points, the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class Label:
    """A secondary span of a diagnostic, and why it matters."""

    span: Span
    text: str


@dataclass(frozen=True)
class Suggestion:
    """A suggested fix: `replacement` replaces the text under the carets."""

    message: str
    replacement: str


@dataclass(frozen=True)
class Diagnostic:
    """One error or warning: what is wrong (`message`, lower-case, self-contained), where (`span`, `path`) and how to fix it.

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
    """Whether the error is that something is missing, which an unreadable parent may define."""

    @property
    def severity(self) -> Severity:
        return self.code.severity


class PrerlError(Exception):
    """An error that a user can act on: `message` says what is wrong and where, `hint` how to fix it."""

    exit_code: int = 5
    code: Code | None = None
    """The diagnostic code whose page `prerl-spec explain` prints, if there is one."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SpecInvalid(PrerlError):
    """The spec is invalid (exit 1, or the exit code of its diagnostics).

    Carries every diagnostic, warnings included, and `sources`: the quoted texts that are not files, by name.
    """

    exit_code = 1

    def __init__(self, diagnostics: Sequence[Diagnostic], sources: Mapping[str, str] | None = None) -> None:
        errors = sum(d.severity == "error" for d in diagnostics)
        super().__init__(f"{errors} error{'s' if errors != 1 else ''} in the spec")
        self.diagnostics = tuple(diagnostics)
        self.sources = sources or {}
        self.exit_code = exit_code_of(self.diagnostics) or SpecInvalid.exit_code


def exit_code_of(diagnostics: Sequence[Diagnostic]) -> int:
    """0 without errors; 1 for an error in the spec, else 3 for an unmet environment, else 4 for lock drift."""
    return min((d.code.exit_code for d in diagnostics if d.severity == "error"), default=0)


class UsageError(PrerlError):
    """The command line is wrong: a missing file, a run folder already in use (exit 2)."""

    exit_code = 2


class EnvironmentUnmet(PrerlError):
    """Something outside the spec is missing: a package, access to the hub, hardware, a data file (exit 3)."""

    exit_code = 3


class Drift(PrerlError):
    """The lock differs from the installation, or a resume would change the meaning of the run (exit 4)."""

    exit_code = 4
    code = Code.LOCK_DRIFT


class RunFailed(PrerlError):
    """The run could not continue: non-finite values, verifier faults, a gap between sampler and trainer (exit 5)."""

    exit_code = 5


class AuthorFault(RunFailed):
    """A component of somebody's own raised an exception or returned what cannot be used (exit 5): the message names it."""


class Damaged(RunFailed):
    """A file of a run is not what was written (exit 5): `file` is its path, the message names the place in it. `has_check`
    is False for a file that has no checksum at all: another program, or an earlier version, has written it."""

    def __init__(self, message: str, *, file: Path, hint: str | None = None, has_check: bool = True) -> None:
        super().__init__(
            message,
            hint=hint or "`prerl-spec fsck RUN` lists every damaged file of a run and what can be done about it",
        )
        self.file = file
        self.has_check = has_check


class PeerLost(RunFailed):
    """Another process of the same run failed; its own error message states the cause (exit 5)."""


class Interrupted(PrerlError):
    """Stopped by a signal after the current unit of work; re-run the same command to resume (exit 75)."""

    exit_code = 75
