"""`prerl-spec fork RUN@PHASE`: goes on from the end of a run's phase in a new run, with the run's spec or a changed one."""

import argparse

from prerl_spec.cli.runs.run import claim_folder, execute
from prerl_spec.cli.shared.diagnostics import print_text
from prerl_spec.cli.shared.launcher import add_processes
from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.overrides import add_overrides, overrides
from prerl_spec.compiler.compare.forked_spec import compiled_fork, fork_source
from prerl_spec.compiler.past_runs.run_folder import is_live
from prerl_spec.errors import UsageError
from prerl_spec.process.rank_environment import is_main, locked_folder, reports_findings


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument(
        "source",
        metavar="RUN@PHASE",
        help="a run folder and one of its phases that has ended: the new run has the phases after it, and continues weights, "
        "moments, data and random streams",
    )
    parser.add_argument("--run-dir", type=file_path, metavar="DIR", help="run folder: a new, empty, or unfinished one")
    parser.add_argument("--new", action="store_true", help="start a new run instead of resuming an unfinished fork")
    add_processes(parser)
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the fork to its end; the same command resumes it. Raises UsageError for a run that is live, or a phase that is
    unknown or has not ended."""
    source, phase = fork_source(arguments.source)
    if is_main() and locked_folder() is None and is_live(source):
        raise UsageError(f"the run in {source} is live", hint="wait for it, or interrupt it first")
    compiled = compiled_fork(source, phase, **overrides(arguments))
    if reports_findings():
        print_text(compiled.warnings, compiled.sources)
    compiled.require_prerequisites(arguments.run_dir)
    graph = compiled.graph

    begun = f"fork of {source}@{phase}"
    return execute(graph, lambda stack: claim_folder(graph, arguments, stack, begun), arguments)
