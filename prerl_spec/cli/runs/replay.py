"""`prerl-spec replay RUN --step K`: recomputes steps from the journal and compares them with what the run recorded."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prerl_spec.cli.shared.launcher import add_processes, launch, processes_to_start
from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.overrides import add_local_code
from prerl_spec.compiler.build_graph import build_graph
from prerl_spec.compiler.compile import read_run_plan
from prerl_spec.compiler.past_runs.model_files import require_same_model_files
from prerl_spec.process.rank_environment import is_main
from prerl_spec.report.terminal.progress import Progress

if TYPE_CHECKING:
    from prerl_spec.engine.inspect.replay import Replayed


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument("run", type=file_path, metavar="RUN", help="a run folder")
    parser.add_argument(
        "--step",
        type=int,
        required=True,
        metavar="K",
        help="global step to recompute, with those between the checkpoint before it and it",
    )
    parser.add_argument(
        "--far",
        action="store_true",
        help="recompute all steps since the nearest checkpoint, also if there are more than 50; else the credit alone",
    )
    add_processes(parser)
    add_local_code(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints what is equal, step by step; returns 5 if anything differs. Changes nothing in the run folder."""
    from prerl_spec.engine.inspect.replay import replay
    from prerl_spec.engine.inspect.replay_credit import NEAR, replay_credit, steps_away

    folder: Path = arguments.run
    plan = read_run_plan(folder, local_code=bool(arguments.local_code))
    require_same_model_files(folder, plan)
    graph = build_graph(plan, plan.spec_text)
    if not arguments.far and (away := steps_away(folder, arguments.step)) > NEAR:
        print(f"the nearest checkpoint is {away} steps away: the credit alone; --far recomputes all {away} steps")
        return _print_steps([replay_credit(graph, folder, arguments.step)])
    if (processes := processes_to_start(arguments.processes, graph.distributed.processes)) > 1:
        invariant = graph.distributed.determinism == "invariant"
        return launch(arguments.command_line, processes, leave_thread_count=invariant)
    progress = Progress()
    try:
        found = replay(graph, folder if is_main() else None, arguments.step, progress)
    finally:
        progress.close()
    if not is_main():
        return 0 if found.is_equal else 5
    print(f"from {f'checkpoint {found.start}' if found.start else 'the initial model'}")
    return _print_steps(found.steps)


def _print_steps(steps: Sequence["Replayed"]) -> int:
    """Prints what is equal in each step; returns 5 if anything differs."""
    for step in steps:
        words = ", ".join(f"{what} {'equal' if same else 'DIFFERENT'}" for what, same in step.equal.items())
        print(f"step {step.global_step} ({step.phase}): {words}")
    if all(all(step.equal.values()) for step in steps):
        return 0
    print(
        "a difference means another environment (threads, versions, hardware), a changed component, or damage: "
        "`prerl-spec fsck RUN` checks every byte",
        file=sys.stderr,
    )
    return 5
