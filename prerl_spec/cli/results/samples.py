"""`prerl-spec samples RUN`: prints sampled responses with their verdicts and extracted answers, of training or of an
evaluation."""

import argparse
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prerl_spec.cli.results.scored_samples import attempts_json, export_responses, has_responses, print_responses
from prerl_spec.cli.shared.option_values import file_path, positive
from prerl_spec.cli.shared.output_format import add_format, print_json
from prerl_spec.errors import UsageError
from prerl_spec.report.formatting.printable import printable
from prerl_spec.report.formatting.scales import short
from prerl_spec.report.tables.attempts import UNVERIFIED, JournalStep, ShownAttempt, journal_files, phase_of, read_step

VERDICTS = ("right", "wrong", "unparsable", "timeout", "error", UNVERIFIED)


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument("run", type=file_path, metavar="RUN|EVAL", help="a run folder, or one of `eval`")
    parser.add_argument("--step", type=int, metavar="K", help="global step to show; default: the last one sampled")
    parser.add_argument("--phase", metavar="ID", help="show the last step of this phase")
    parser.add_argument(
        "--task", metavar="TASK", help="show responses to this task of an evaluation; default: the last one"
    )
    parser.add_argument("--verdict", choices=VERDICTS, help="show only attempts with this verdict")
    parser.add_argument(
        "--export",
        type=file_path,
        metavar="FILE.parquet",
        help="write the attempts with tokens and log-probabilities to a Parquet file instead: of every step, or as chosen",
    )
    parser.add_argument("--limit", type=positive, default=8, metavar="N", help="number of attempts to show; default: 8")
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the attempts of one step to stdout, or exports those of all steps. Raises UsageError for a folder that is not
    there."""
    if not options.run.is_dir():
        what = "is a file" if options.run.exists() else "does not exist"
        raise UsageError(f"{options.run} {what}", hint="name the folder of a run")
    scored = options.task is not None or (not journal_files(options.run) and has_responses(options.run))
    if options.export is not None:
        if options.format == "json":
            raise UsageError(
                "--export writes Parquet, and --format is of what is printed", hint="leave one of them out"
            )
        return _export(options, scored=scored)
    if scored:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # as below
        print_responses(options, _block)
        return 0
    step = _chosen_step(options.run, options.step, options.phase)
    attempts = step.with_outcome(options.verdict)
    shown = attempts[: options.limit]
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal that cannot show a character
    if options.format == "json":
        where = {"phase": step.phase, "step": step.step, "global_step": step.global_step}
        print_json({**where, **attempts_json(step.attempts, attempts, shown)}, ascii=True)
        return 0
    print(f"{step.phase} step {step.step} (global step {step.global_step}): {_counts(step)}")
    for attempt in shown:
        print(f"\n{_block(attempt)}")
    if len(shown) < len(attempts):
        print(f"\n... {len(attempts) - len(shown)} more: --limit {len(attempts)}")
    return 0


def _export(options: argparse.Namespace, *, scored: bool) -> int:
    from prerl_spec.report.tables.export import write_parquet

    if options.export.exists():
        raise UsageError(f"{options.export} exists", hint="name a file that does not exist: nothing is overwritten")
    if scored:
        with _writing(options.export):
            print(f"{export_responses(options)} responses: {options.export}")
        return 0
    files = journal_files(options.run)
    if options.step is not None or options.phase is not None or not files:
        _chosen_step(options.run, options.step, options.phase)
    if options.step is not None:
        files = {options.step: files[options.step]}
    steps = [file for file in files.values() if options.phase in (None, phase_of(file))]
    with _writing(options.export):
        count = write_parquet(options.export, steps, options.verdict)
    print(f"{count} attempts of {len(steps)} steps: {options.export}")
    return 0


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}", hint="choose another --export") from error


def _chosen_step(run: Path, number: int | None, phase: str | None) -> JournalStep:
    """The step selected by the options. Raises UsageError, listing the available steps, if there is no such step."""
    files = journal_files(run)
    if not files:
        raise UsageError(
            f"{run} has no sampled step in its journal", hint="name the folder of a run with at least one sampled step"
        )
    if number is not None and number not in files:
        raise UsageError(f"global step {number} is not in the journal", hint=f"sampled steps: {_ranges(list(files))}")
    if number is None:
        number = next((k for k in reversed(files) if phase in (None, phase_of(files[k]))), None)
    if number is None or phase not in (None, phase_of(files[number])):
        phases = dict.fromkeys(p for file in files.values() if (p := phase_of(file)) is not None)
        what = (
            f"phase {phase} has no sampled step"
            if number is None
            else f"global step {number} does not belong to phase {phase}"
        )
        raise UsageError(what, hint=f"phases with sampled steps: {', '.join(phases)}")
    return read_step(files[number])


def _block(attempt: ShownAttempt) -> str:
    reward = "" if attempt.reward is None else f", reward {short(attempt.reward)}"
    head = f"--- prompt {attempt.slot}, sample {attempt.sample}: {attempt.outcome}{reward} "
    fields = {
        "question": attempt.question,
        "gold": attempt.gold,
        "response": attempt.text,
        "extracted": attempt.answer,
        "detail": attempt.detail or None,
        "sum of": attempt.sum_of or None,
        "length": f"{attempt.num_tokens} tokens, ended by {attempt.stop}",
    }
    lines = [f"{name + ':':<10} {_hanging(value)}" for name, value in fields.items() if value is not None]
    return "\n".join([head.ljust(100, "-"), *lines])


def _hanging(text: str) -> str:
    return textwrap.indent(printable(text), " " * 11).removeprefix(" " * 11)


def _counts(step: JournalStep) -> str:
    counted = {v: len(step.with_outcome(v)) for v in VERDICTS}
    return ", ".join(f"{count} {verdict}" for verdict, count in counted.items() if count)


def _ranges(numbers: Sequence[int]) -> str:
    """[1, 2, 3, 7] as "1-3, 7"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
