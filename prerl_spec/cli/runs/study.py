"""`prerl-spec study SPEC`: runs every arm of [study] at every seed; re-running the command goes on with what is left."""

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from prerl_spec.cli.shared.diagnostics import print_text
from prerl_spec.cli.shared.locked import pinned
from prerl_spec.cli.shared.option_values import file_path, positive
from prerl_spec.cli.shared.overrides import add_overrides, overrides
from prerl_spec.compiler.compile import require_met
from prerl_spec.errors import RunFailed, SpecInvalid, UsageError
from prerl_spec.study.compile_study import compile_study
from prerl_spec.study.detectable import Detectable, detectable
from prerl_spec.study.overview import overview
from prerl_spec.study.results import results_table, short_of_budget
from prerl_spec.study.running.cell_process import Starter
from prerl_spec.study.running.cell_queue import CellQueue, Outcome
from prerl_spec.study.running.progress import Progress
from prerl_spec.study.running.taking_over import Earlier, Nowhere, Source
from prerl_spec.study.shell_lines import named_task, names, shell_lines
from prerl_spec.study.study_folder import (
    StudyFolder,
    begin_study,
    choose_study_folder,
    earlier_others,
    hold_study,
    is_complete,
)
from prerl_spec.study.study_plan import StudyPlan
from prerl_spec.study.tasks import Task, tasks_of


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument("spec", type=file_path, metavar="SPEC", help="a spec with [study]: arms and seeds")
    parser.add_argument("--jobs", type=positive, default=1, metavar="N", help="run N cells at a time; default: 1")
    parser.add_argument(
        "--study-dir", type=file_path, metavar="DIR", help="the study's folder: a new, empty one, or one of this study"
    )
    parser.add_argument("--new", action="store_true", help="begin the study anew, beside one that is there")
    parser.add_argument(
        "--take-from",
        type=file_path,
        metavar="STUDY",
        help="an earlier study, with other arms or seeds: its finished runs of the same plans are copied, not run again",
    )
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--cell", metavar="ARM/SEED", help="run this cell alone; what it starts from must be finished")
    one.add_argument(
        "--print-commands", action="store_true", help="print one command a run, for a cluster, and run nothing"
    )
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs what is left and prints the scores. Raises RunFailed (exit 5) if a cell has failed, Interrupted (exit 75)."""
    study = compile_study(arguments.spec, **pinned(arguments.spec, overrides(arguments)))
    print_text(study.warnings, study.resolved.sources)
    if arguments.print_commands:
        folder, there = choose_study_folder(study, arguments.study_dir, new=arguments.new)
        # Where torch is not installed, on a login node say, the first command checks it.
        if not there and find_spec("torch") is not None:
            _require_arms_that_differ(study)
        for line in overview(study, folder, detectable(study), arguments.jobs).splitlines():
            print(f"# {line}")
        print(shell_lines(study, folder, arguments.spec, _options(arguments)))
        return 0
    task = None if arguments.cell is None else _named(study, arguments.cell)
    if task is not None and arguments.new:
        raise UsageError("--new begins a study, and --cell is one run of it", hint="leave --new out, or --cell")
    for cell in study.cells[: len(study.arms)]:
        require_met(cell.plan)
    folder, there = choose_study_folder(study, arguments.study_dir, new=arguments.new)
    source = Nowhere() if arguments.take_from is None else Earlier(arguments.take_from, folder.root)
    if there and task is None and is_complete(folder, study):
        return _say_finished(study, folder)
    if not there:
        _require_arms_that_differ(study)
    effect = detectable(study)
    folder, there = begin_study(study, arguments.study_dir, effect.as_json(), new=arguments.new)
    print(f"{'resuming' if there else 'study folder'}: {folder.root}", file=sys.stderr)
    for other, changed in [] if there or arguments.study_dir or arguments.take_from else earlier_others(study):
        said = f"{other} holds another study{f': {changed}' if changed else ''}"
        print(f"note: {said}; --take-from {other} copies the runs that are the same", file=sys.stderr)
    with hold_study(folder, alone=task is None):
        if task is not None:
            return _run_cell(study, folder, task, arguments, source)
        return _run_all(study, folder, effect, arguments, source)


def _require_arms_that_differ(study: StudyPlan) -> None:
    """Raises SpecInvalid for arms whose gradients are the same. Once a study: it takes the seconds that torch takes to load."""
    from prerl_spec.testing.same_arms import alike_findings

    plans = {cell.arm: cell.plan for cell in study.cells[: len(study.arms)]}
    found = alike_findings(study.resolved, plans)
    if any(finding.severity == "error" for finding in found):
        raise SpecInvalid(found, study.resolved.sources)
    print_text(found, study.resolved.sources)


def _say_finished(study: StudyPlan, folder: StudyFolder) -> int:
    print(f"{folder.root} has finished this very study; --new begins another", file=sys.stderr)
    if table := results_table(study, folder):
        print(f"{table}\n")
    _say_what_fell_short(study, folder)
    print(f"paired differences: prerl-spec compare {folder.root}")
    return 0


def _say_what_fell_short(study: StudyPlan, folder: StudyFolder) -> None:
    if short := short_of_budget(study, folder):
        print(
            f"warning: {', '.join(short)} ended before the budget, with the most steps that the last phase may take: "
            "not equal to the others; give the last phase more steps, or lower study.budget",
            file=sys.stderr,
        )


def _run_all(
    study: StudyPlan, folder: StudyFolder, effect: Detectable, arguments: argparse.Namespace, source: Source
) -> int:
    tasks = tasks_of(study)
    print(overview(study, folder, effect, arguments.jobs), flush=True)
    outcome = _queued(study, folder, tasks, arguments, source)
    if table := results_table(study, folder):
        print(f"\n{table}")
    _say_what_fell_short(study, folder)
    _require_all(outcome)
    print(f"\nall {len(study.cells)} cells are finished; paired differences: prerl-spec compare {folder.root}")
    return 0


def _run_cell(study: StudyPlan, folder: StudyFolder, task: Task, arguments: argparse.Namespace, source: Source) -> int:
    if waits := [name for name in task.after if not folder.is_finished(name)]:
        raise UsageError(
            f"{task.name} starts when {', '.join(waits)} {'is' if len(waits) == 1 else 'are'} finished",
            hint=f"run --cell {waits[0]} first; --print-commands prints all of them in their order",
        )
    if folder.is_finished(task.name):
        print(f"{task.name} is finished: {folder.run(task.name)}", file=sys.stderr)
        return 0
    _require_all(_queued(study, folder, [task], arguments, source))
    return 0


def _queued(
    study: StudyPlan, folder: StudyFolder, tasks: Sequence[Task], arguments: argparse.Namespace, source: Source
) -> Outcome:
    finished = sum(folder.is_finished(task.name) for task in tasks)
    progress = Progress(study, folder, len(tasks), finished)
    start = Starter(arguments.jobs, bool(arguments.local_code), several=len(tasks) - finished > 1)
    try:
        return CellQueue(study, folder, tasks, start, progress, arguments.jobs, source).run()
    finally:
        start.close()
        progress.close()


def _require_all(outcome: Outcome) -> None:
    """Raises RunFailed with each failed run and its cause."""
    if not outcome.failed:
        return
    lines = [f"{name}: {cause}" for name, cause in outcome.failed.items()]
    if outcome.blocked:
        lines.append(f"not begun, since they wait for these: {', '.join(outcome.blocked)}")
    count = "a run has failed" if len(outcome.failed) == 1 else f"{len(outcome.failed)} runs have failed"
    raise RunFailed("\n  ".join([count, *lines]), hint="re-run the same command: it tries these again, and goes on")


def _named(study: StudyPlan, name: str) -> Task:
    if (task := named_task(study, name)) is None:
        every = list(names(study))
        near = get_close_matches(name, every, n=1)
        raise UsageError(
            f"the study has no cell `{name}`",
            hint=f"did you mean `{near[0]}`? Arms: {', '.join(study.arms)}; seeds: {', '.join(map(str, study.seeds))}"
            if near
            else f"choose from: {', '.join(every)}",
        )
    return task


def _options(arguments: argparse.Namespace) -> list[str]:
    """The overrides as they were given, for further commands."""
    given = [f"--set={value}" for value in arguments.set]
    given += [f"--unset={value}" for value in arguments.unset]
    given += [f"--overlay={Path(value)}" for value in arguments.overlay]
    given += [] if arguments.take_from is None else [f"--take-from={arguments.take_from}"]
    return [*given, *(["--local-code"] if arguments.local_code else [])]
