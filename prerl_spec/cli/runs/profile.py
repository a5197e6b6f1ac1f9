"""`run --profile`: times a few steps of every phase and a partial run of each evaluator; `plan` uses the result."""

from contextlib import ExitStack
from pathlib import Path

from prerl_spec.compiler.compile import Compiled
from prerl_spec.compiler.past_runs.refused_start import Places, nothing_left
from prerl_spec.compiler.past_runs.run_folder import hold_run_folder, new_profile_folder
from prerl_spec.errors import Interrupted
from prerl_spec.process.rank_environment import is_main
from prerl_spec.report.terminal.profile import profile_page
from prerl_spec.report.terminal.progress import Progress


def profile(compiled: Compiled) -> int:
    """Calibrates in a separate folder next to the runs, and prints the measured times.

    Raises Interrupted, RunFailed, EnvironmentUnmet; the folder then contains nothing that `plan` would read, and is gone
    where nothing was timed.
    """
    graph = compiled.graph
    with ExitStack() as stack:
        folder: Path | None = None
        if is_main():
            before = Places.before(graph.run.output_dir)
            folder = new_profile_folder(graph.run.output_dir, graph.run.name)
            stack.enter_context(hold_run_folder(folder))
            stack.enter_context(nothing_left(folder, before))

        from prerl_spec.engine.inspect.profiling import profile as calibrate

        progress = Progress()
        try:
            found = calibrate(graph, folder, progress)
        except Interrupted as stopped:
            raise Interrupted(
                stopped.message, hint="re-run the same command to profile again, in a new folder"
            ) from stopped
        finally:
            progress.close()
    if is_main():
        print(profile_page(compiled.plan, found))
    return 0
