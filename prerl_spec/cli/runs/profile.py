"""`run --profile`: a few steps of every phase and a small round of each evaluator, as a table; `plan` then uses it."""

from contextlib import ExitStack
from pathlib import Path

from prerl_spec.cli.shared.rank_environment import is_main
from prerl_spec.compiler.compile import Compiled
from prerl_spec.compiler.past_runs.run_folder import hold_run_folder, new_profile_folder
from prerl_spec.errors import Interrupted
from prerl_spec.report.terminal.profile import profile_page
from prerl_spec.report.terminal.progress import Progress


def profile(compiled: Compiled) -> int:
    """Calibrates in a folder of its own beside the runs, and prints what it found.

    Raises Interrupted, RunFailed, EnvironmentUnmet; the folder then holds nothing that `plan` would read.
    """
    graph = compiled.graph
    with ExitStack() as held:
        folder: Path | None = None
        if is_main():
            folder = new_profile_folder(graph.run.output_dir, graph.run.name)
            held.enter_context(hold_run_folder(folder))

        from prerl_spec.engine.inspect.profiling import profile as calibrate

        progress = Progress()
        try:
            found = calibrate(graph, folder, progress)
        except Interrupted as stopped:
            raise Interrupted(stopped.message, hint="the same command begins anew, in another folder") from stopped
        finally:
            progress.close()
    if is_main():
        print(profile_page(compiled.plan, found))
    return 0
