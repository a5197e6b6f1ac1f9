"""`prerl-spec run SPEC`: compiles a spec, locks a run folder, and runs; re-running the command resumes."""

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from prerl_spec.cli.runs.debug import debug
from prerl_spec.cli.runs.profile import profile
from prerl_spec.cli.shared.diagnostics import print_text
from prerl_spec.cli.shared.launcher import add_processes, launch, processes_to_start
from prerl_spec.cli.shared.locked import compile_locked
from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.overrides import add_overrides, overrides
from prerl_spec.compiler.graph import Graph
from prerl_spec.compiler.past_runs.model_files import require_same_model_files
from prerl_spec.compiler.past_runs.refused_start import Places, nothing_left
from prerl_spec.compiler.past_runs.run_folder import choose_run_folder, hold_run_folder, is_finished, one_at_a_time
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.disk import HINT, disk_warning
from prerl_spec.engine.record.artefacts import note_artefacts
from prerl_spec.errors import Interrupted, UsageError
from prerl_spec.process.rank_environment import is_main, locked_folder, reports_findings
from prerl_spec.report.page.page import write_report
from prerl_spec.report.terminal.progress import Progress
from prerl_spec.report.terminal.summary import run_summary


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument(
        "spec", type=file_path, metavar="SPEC|plan.json", help="the spec to run, or a plan written by `plan --out`"
    )
    parser.add_argument("--run-dir", type=file_path, metavar="DIR", help="run folder: a new, empty, or unfinished one")
    parser.add_argument("--new", action="store_true", help="start a new run instead of resuming an unfinished one")
    lock = parser.add_mutually_exclusive_group()
    lock.add_argument("--locked", action="store_true", help="fail if the spec differs in meaning from SPEC.lock")
    lock.add_argument("--update-lock", action="store_true", help="write SPEC.lock before running, as `lock` does")
    parser.add_argument(
        "--debug",
        action="store_true",
        help="one update on two prompts; print advantage, weight and term of every token, then breakpoint()",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="time a few steps of every phase, in a separate folder; `plan` uses the measured times",
    )
    add_processes(parser)
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs to the end and prints scores and times. Raises PrerlError, which carries the exit code, if it is stopped."""
    _refuse_contradictions(arguments)
    compiled = compile_locked(
        arguments.spec, overrides(arguments), locked=arguments.locked, update=arguments.update_lock
    )
    if reports_findings():
        print_text(compiled.warnings, compiled.sources)
        if (full := disk_warning(compiled.plan, arguments.run_dir)) is not None:
            print(f"warning: {full}\n  = help: {HINT}", file=sys.stderr)
    compiled.require_prerequisites(arguments.run_dir)
    graph = compiled.graph
    if arguments.debug:
        return debug(graph)
    if arguments.profile:
        if (processes := processes_to_start(arguments.processes, graph.distributed.processes)) > 1:
            return launch(arguments.command_line, processes, leave_thread_count=_is_invariant(graph))
        return profile(compiled)

    return execute(graph, lambda stack: claim_folder(graph, arguments, stack), arguments)


def claim_folder(graph: Graph, arguments: argparse.Namespace, stack: ExitStack, begun: str = "run folder") -> Path:
    """The folder of this run, by --run-dir and --new, locked until the stack closes, with plan and spec in it; shared by `run`
    and `fork`. `begun` names a new one."""
    from prerl_spec.engine.record.run_inputs import write_given

    place = Path(graph.run.output_dir) if arguments.run_dir is None else arguments.run_dir.parent
    with one_at_a_time(place):
        folder, resuming = choose_run_folder(
            graph.run.output_dir, graph.run.name, graph.digest, run_dir=arguments.run_dir, new=arguments.new
        )
        stack.enter_context(hold_run_folder(folder))
        print(f"{'resuming' if resuming else begun}: {folder}", file=sys.stderr)
        write_given(folder, graph)
    return folder


def _refuse_contradictions(arguments: argparse.Namespace) -> None:
    if arguments.profile and (arguments.run_dir is not None or arguments.new or arguments.debug):
        raise UsageError("--profile cannot be combined with --run-dir, --new or --debug", hint="drop the other options")


def execute(
    graph: Graph, lock_folder: Callable[[ExitStack], Path], arguments: argparse.Namespace, *, is_new: bool = True
) -> int:
    """Runs a compiled graph in a run folder with a progress display, then writes its report; shared by `run` and `resume`.
    With `is_new` a start that is refused leaves nothing in a folder in which nothing was computed.

    The main process locks the folder (until the stack closes) before anything heavy is loaded, so that errors
    appear at once. If several processes share the run, it starts them and waits for them.
    """
    from prerl_spec.engine.record.run_inputs import write_given

    processes = processes_to_start(arguments.processes, graph.distributed.processes)
    given: Path | None = getattr(arguments, "run_dir", None)
    before = Places.before(given, given and given.parent, Path(graph.run.output_dir))
    with ExitStack() as stack:
        folder = (locked_folder() or lock_folder(stack)) if is_main() else None
        # A folder that another process has locked is that process's to remove.
        own = folder if is_new and locked_folder() is None else None
        ended = stack.enter_context(nothing_left(own, before))
        if folder is not None:
            if locked_folder() is None:
                require_same_model_files(folder, Plan.from_json(graph.plan))
            write_given(folder, graph)
        try:
            if processes > 1:
                invariant = _is_invariant(graph)
                code = launch(arguments.command_line, processes, folder=folder, leave_thread_count=invariant)
                ended(code)
                return 0 if code == Interrupted.exit_code and _is_over(folder) else code
            _run_here(graph, folder)
        except (Interrupted, KeyboardInterrupt):
            if not _is_over(folder):
                raise
    return 0


def _run_here(graph: Graph, folder: Path | None) -> None:
    """Runs as the only process, or as one of several."""
    from prerl_spec.engine.run.run import run as run_graph

    progress = Progress()
    try:
        folder = run_graph(graph, folder, progress)
    finally:
        progress.close()
    if is_main():
        page = write_report([folder], None)
        note_artefacts(folder)
        print(run_summary(folder))
        print(f"\nreport: {page}\ncheckpoints: {folder / 'checkpoints'}")


def _is_over(folder: Path | None) -> bool:
    """Whether an interrupted run had nothing left to do; says so. It must not count as interrupted: the same command,
    which a scheduler runs again then, would begin another run."""
    if folder is None or not is_finished(folder):
        return False
    print(f"interrupted after the end of the run; its report: prerl-spec report {folder}", file=sys.stderr)
    return True


def _is_invariant(graph: Graph) -> bool:
    return graph.distributed.determinism == "invariant"
