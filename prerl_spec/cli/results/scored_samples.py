"""`prerl-spec samples` on what an evaluation has written: the responses to a benchmark's questions."""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prerl_spec.cli.shared.output_format import print_json
from prerl_spec.errors import UsageError
from prerl_spec.evaluation.kept_responses import KeptResponses, kept_responses
from prerl_spec.evaluation.model_folders import INDEX, models_in
from prerl_spec.report.tables.attempts import ShownAttempt
from prerl_spec.report.tables.scored_responses import shown


def chosen_files(options: argparse.Namespace) -> list[KeptResponses]:
    """The files of responses that the options choose, at least one. Raises UsageError with what there is, Damaged."""
    folder: Path = options.run
    found = kept_responses(folder)
    if not found and (models := models_in(folder)):
        raise UsageError(
            f"{folder} holds the scores of several models", hint=f"name one of {', '.join(map(str, models[:6]))}"
        )
    chosen = [
        one
        for one in found
        if options.task in (None, one.task)
        and options.step in (None, one.global_step)
        and options.phase in (None, one.phase)
    ]
    if not chosen:
        there = dict.fromkeys(f"{one.task} (phase {one.phase}, step {one.global_step})" for one in found)
        raise UsageError(
            f"{folder} has no such responses of an evaluation",
            hint=f"it has those of {', '.join(there)}" if there else "name a folder that `eval` or a run has written",
        )
    return chosen


def has_responses(folder: Path) -> bool:
    """Whether the folder is one of `eval`, of one model or several."""
    return (folder / INDEX).is_file() or bool(kept_responses(folder))


def print_responses(options: argparse.Namespace, block: Callable[[ShownAttempt], str]) -> None:
    """Prints the responses of the last file that the options choose, and names the others."""
    *others, file = chosen_files(options)
    attempts = [shown(line) for line in file.lines()]
    kept = [one for one in attempts if options.verdict in (None, one.outcome)]
    limited = kept[: options.limit]
    if options.format == "json":
        where = {"task": file.task, "phase": file.phase, "global_step": file.global_step}
        print_json({**where, **attempts_json(attempts, kept, limited)}, ascii=True)
        return
    print(f"{file.task}, {file.phase} (global step {file.global_step}): {_counts(attempts)}")
    for one in limited:
        print(f"\n{block(one)}")
    if len(limited) < len(kept):
        print(f"\n... {len(kept) - len(limited)} more: --limit {len(kept)}")
    if others:
        print(f"\nalso there: {_names(others)}: --task TASK, --step K")


def attempts_json(
    everyone: Sequence[ShownAttempt], chosen: Sequence[ShownAttempt], shown: Sequence[ShownAttempt]
) -> dict[str, Any]:
    """For `--format json`: verdict -> count of all attempts, how many are chosen, and those that --limit lets through."""
    counts = dict(Counter(one.outcome for one in everyone))
    return {"counts": counts, "chosen": len(chosen), "attempts": [asdict(one) for one in shown]}


def export_responses(options: argparse.Namespace) -> int:
    """Writes the chosen responses to a Parquet file, and returns their number. Raises OSError."""
    from prerl_spec.report.tables.scored_export import write_scored_parquet

    tables = (
        (
            {"phase": one.phase, "global_step": one.global_step, "task": one.task},
            [line for line in one.lines() if options.verdict in (None, shown(line).outcome)],
        )
        for one in chosen_files(options)
    )
    return write_scored_parquet(options.export, tables)


def _counts(attempts: Sequence[ShownAttempt]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in Counter(one.outcome for one in attempts).items())


def _names(files: Sequence[KeptResponses]) -> str:
    return ", ".join(dict.fromkeys(f"{one.task} at step {one.global_step}" for one in files))
