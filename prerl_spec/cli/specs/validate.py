"""`validate SPEC...` reports every error of one or more specs; reads no data and imports only named components."""

import argparse
from pathlib import Path

from prerl_spec.cli.shared.diagnostics import as_github, as_json, print_results, print_text
from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.overrides import add_overrides, overrides
from prerl_spec.compiler.resolve.resolve import resolve
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Diagnostic, UsageError, exit_code_of


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("specs", nargs="+", metavar="SPEC", type=file_path, help="spec files")
    parser.add_argument(
        "--format", choices=("text", "json", "github"), default="text", help="output format of the diagnostics"
    )
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 if there is no error; warnings do not count. Raises UsageError for the files that cannot be read, once
    the others are reported."""
    results: list[tuple[Path, Resolved, tuple[Diagnostic, ...]]] = []
    unread: dict[str, UsageError] = {}
    for file in arguments.specs:
        try:
            resolved = resolve(file, **overrides(arguments))
        except UsageError as error:
            unread[error.message] = error
        else:
            results.append((file, resolved, diagnose(resolved)))
    everything = [d for _, _, diagnostics in results for d in diagnostics]
    if arguments.format == "json":
        print_results(as_json(everything, unread=tuple(unread)))
    elif arguments.format == "github":
        print_results(as_github(everything))
    else:
        for file, resolved, diagnostics in results:
            print_text(diagnostics, resolved.sources)
            print_results(f"{file}: {_summary(diagnostics)}")
    if unread:
        raise UsageError("; ".join(unread), hint=next(iter(unread.values())).hint)
    return exit_code_of(everything)


def _summary(diagnostics: tuple[Diagnostic, ...]) -> str:
    errors = sum(d.severity == "error" for d in diagnostics)
    warnings = len(diagnostics) - errors
    counts = [f"{n} {word}{'s' * (n != 1)}" for n, word in ((errors, "error"), (warnings, "warning")) if n]
    return ", ".join(counts) if errors else ", ".join(["valid", *counts])
