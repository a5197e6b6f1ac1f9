"""The command line: dispatches to a command and turns every error into one message and an exit code.

A command's module is imported only when that command runs, so that `--help` loads nothing heavy.
"""

import argparse
import importlib
import io
import sys
from collections.abc import Sequence
from difflib import get_close_matches

from prerl_spec import __version__

# error_output and situations here, not where an error is printed: nothing can be imported once memory has run out.
from prerl_spec.errors import AuthorFault, PeerLost, PrerlError, SpecInvalid
from prerl_spec.known_secrets import without_secrets
from prerl_spec.language.secrets import without_tokens
from prerl_spec.process.error_output import error_stream, lead_nowhere, print_error
from prerl_spec.process.stop_signals import Stopped, after_a_stop, arrived, ended_by_signals, resuming
from prerl_spec.situations import situation_of

COMMANDS = {
    "new": "write a spec from a template",
    "validate": "check specs and report every error with its location",
    "plan": "show what a run would do, without loading a model",
    "lock": "record what a spec resolves to, or check it for drift",
    "check-data": "verify gold answers against themselves, and find unusable, repeated and benchmark rows",
    "fetch": "download the model, data and benchmarks of a spec, for use offline",
    "run": "run a spec, resuming an unfinished run of the same plan",
    "resume": "resume a run from its folder",
    "fork": "go on from the end of a run's phase in a new run",
    "study": "run every arm of a study at every seed, going on with what is left",
    "replay": "recompute steps of a run from a checkpoint and compare them with its record",
    "fsck": "check every byte of a run folder",
    "torture": "kill, crash and damage runs of a spec, and compare them with an undisturbed one",
    "eval": "score a run, a model folder or a hub model",
    "report": "write the HTML report of a run",
    "compare": "compare arms of runs, of a study or of scored models, with intervals",
    "samples": "print sampled responses with their verdicts",
    "show": "print the resolved spec or its graph",
    "components": "list the installed components, or show one",
    "diff": "show where two specs, plans or runs differ in meaning",
    "explain": "explain a diagnostic code",
    "schema": "write the JSON Schema of specs, for editors",
    "try": "check a component in a Python file against the laws of its kind, and train briefly",
    "plugin": "create a plugin from a template, or check an installed one",
    "serve": "start the vLLM servers that a spec samples from, until Ctrl-C",
    "doctor": "report what this machine can run, and how to fix what is missing",
}

ROOMS = {
    "specs": ("new", "validate", "plan", "lock", "check-data", "fetch", "show", "diff", "schema", "explain"),
    "runs": ("run", "resume", "fork", "study", "replay", "torture", "eval", "serve"),
    "results": ("report", "compare", "samples", "fsck"),
    "authors": ("components", "try", "plugin"),
    "environment": ("doctor",),
}
"""Package of each command's module: `plan` is cli/specs/plan.py."""

ROOM_OF = {name: room for room, names in ROOMS.items() for name in names}

RESUMING = ("run", "resume", "fork", "study", "eval", "serve")
"""Commands that go on with what was stopped when they are run again; the others start from the beginning."""

WITHOUT_PACKAGES = ("explain",)
"""Commands that read no metadata of installed packages."""

INTERRUPTED = 75
INTERNAL = 5
USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; argparse exits with 2 on an unknown option.

    From the first line on, SIGTERM, SIGHUP and SIGUSR1 end it like Ctrl-C: with words and the code of an interrupt.
    """
    try:
        with resuming(_resumes(sys.argv[1:] if argv is None else argv)), ended_by_signals():
            return _reporting_errors(argv)
    except Stopped:
        return INTERRUPTED  # while an error was being printed


def _resumes(arguments: Sequence[str]) -> bool:
    return next((a for a in arguments if not a.startswith("-")), "") in RESUMING


def _reporting_errors(argv: Sequence[str] | None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    with_traceback = "--traceback" in arguments
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Windows code pages lack "−" and "ρ": a character that cannot be encoded must not abort the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _dispatch([a for a in arguments if a != "--traceback"], ["--traceback"] if with_traceback else [])
    except BrokenPipeError:
        # The reader of our output has closed the pipe; the interpreter must not fail again when it flushes stdout.
        lead_nowhere(sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as stopped:
        return _interrupted(stopped.words if isinstance(stopped, Stopped) else "interrupted")
    except SpecInvalid as error:
        from prerl_spec.cli.shared.diagnostics import print_invalid

        with error_stream() as stream:
            print_invalid(error, stream)
        return error.exit_code
    except PrerlError as error:
        if with_traceback and isinstance(error, AuthorFault):
            _print_traceback(error)
        _print_error(error.message, error.hint, error.code, consequence=isinstance(error, PeerLost))
        return error.exit_code
    except ModuleNotFoundError as error:
        if arrived():
            return _interrupted()
        if error.name is None or error.name.split(".")[0] in ("prerl_spec", "prerl_components"):
            return _internal_error(error, with_traceback)
        from prerl_spec.compiler.estimates.prerequisites import PIP_TRAIN, has_train

        hint = "prerl-spec doctor" if has_train() else PIP_TRAIN
        _print_error(f"the package that provides `{error.name}` is not installed", hint)
        return 3
    except Exception as error:  # the outermost frame: what is not the machine's doing is a bug of ours, reported as one
        if arrived():  # half an import, say: libraries turn a Ctrl-C into errors of their own
            return _interrupted()
        situation = situation_of(error)
        if situation is None:
            return _internal_error(error, with_traceback)
        if with_traceback:
            _print_traceback(error)
        _print_error(situation.message, situation.hint)
        return situation.exit_code


def _dispatch(arguments: list[str], given: list[str]) -> int:
    parser = _top_parser()
    if arguments and not arguments[0].startswith("-"):
        return _run_command(parser, arguments[0], arguments[1:], given)
    parser.parse_args(arguments)
    parser.print_help(sys.stderr)
    return USAGE


def module_of(name: str) -> str:
    """The module of a command: `check-data` is cli/specs/check_data.py."""
    return f"prerl_spec.cli.{ROOM_OF[name]}.{name.replace('-', '_')}"


def _run_command(parser: argparse.ArgumentParser, name: str, rest: list[str], given: list[str]) -> int:
    if name not in COMMANDS:
        return _unknown_command(name)
    if name not in WITHOUT_PACKAGES:
        # Before any library lists entry points; it imports importlib.metadata.
        from prerl_spec.broken_metadata import tolerate_broken_entry_points

        tolerate_broken_entry_points()
    module = importlib.import_module(module_of(name))
    command = argparse.ArgumentParser(
        prog=f"{parser.prog} {name}", description=f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}."
    )
    module.add(command)
    parsed, unknown = command.parse_known_args(rest)
    if unknown:
        # `--lr 3`, `optimizer.lr=3`: other programs take settings so.
        hint = "; a setting of the spec is changed by --set PATH=VALUE" if hasattr(parsed, "set") else ""
        command.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    parsed.command_line = [*given, name, *rest]
    code = module.run(parsed)
    assert isinstance(code, int), f"{module.__name__} returned no exit code"
    return code


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="prerl-spec",
        usage="prerl-spec COMMAND ...",
        description="Compiles and runs reinforcement-learning specs for LLM reasoning.",
        epilog=f"commands:\n{listing}\n\n`prerl-spec COMMAND --help` describes a command and its options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"prerl-spec {__version__}")
    parser.add_argument(
        "--traceback", action="store_true", help="show the Python traceback of an internal error, or of a component's"
    )
    return parser


def _unknown_command(name: str) -> int:
    near = get_close_matches(name, COMMANDS, n=1)
    _print_error(
        f"unknown command `{name}`", f"did you mean `{near[0]}`?" if near else f"choose from: {', '.join(COMMANDS)}"
    )
    return USAGE


def _print_error(message: str, hint: str | None, code: str | None = None, *, consequence: bool = False) -> None:
    print_error(without_tokens(message), None if hint is None else without_tokens(hint), code, consequence=consequence)


def _print_traceback(error: BaseException) -> None:
    import traceback

    print(without_secrets("".join(traceback.format_exception(error))), file=sys.stderr, end="")


def _interrupted(words: str = "interrupted") -> int:
    _print_error(words, after_a_stop())
    return INTERRUPTED


def _internal_error(error: BaseException, with_traceback: bool) -> int:
    # Imported here because they would be a third of what `--help` imports.
    import tempfile
    import traceback

    last_line = traceback.format_exception_only(error)[-1].strip()
    where = None
    if with_traceback:
        _print_traceback(error)
    else:
        try:
            with tempfile.NamedTemporaryFile(
                "w",
                prefix="prerl-spec-",
                suffix=".traceback",
                delete=False,
                encoding="utf-8",
                errors="backslashreplace",
            ) as file:
                file.write(without_secrets("".join(traceback.format_exception(error))))
            where = f"the traceback was written to {file.name}; please report it together with the spec"
        except OSError:  # no folder for temporary files: the traceback must not be lost with it
            _print_traceback(error)
    _print_error(f"internal error (a bug in prerl-spec): {last_line}", where)
    return INTERNAL


if __name__ == "__main__":
    sys.exit(main())
