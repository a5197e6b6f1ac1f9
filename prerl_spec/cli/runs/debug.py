"""`run --debug`: two prompts, one update, the advantage, weight and term of every token, then the debugger."""

import bdb
import os
import tempfile
from pathlib import Path

from prerl_spec.compiler.graph import Graph
from prerl_spec.compiler.plan import Plan
from prerl_spec.errors import UsageError


def debug(graph: Graph) -> int:
    """Prints the tables and stops at `breakpoint()`; quitting the debugger ends the command with exit code 0.

    Raises UsageError for a spec without phases, and under a launcher that has started several processes.
    """
    from prerl_spec.engine.inspect.debug_step import Seen, debug_step, debugged_phase
    from prerl_spec.report.terminal.token_table import token_table

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "--debug runs in a single process, but a launcher has started several", hint="run it without the launcher"
        )
    if not graph.phases:
        raise UsageError("nothing to debug: the spec has no phases", hint="debug a spec with at least one phase")

    def inspect(seen: Seen) -> None:
        step, parts, policy, record = seen.step, seen.parts, seen.policy, seen.record
        print(token_table(step, policy.codec, parts, range(len(step.samples))))
        moved = f"gradient norm {record.metrics['grad_norm']:.4g}" if record.applied else "no update applied"
        print(f"\nafter one update: {moved}")
        print(
            "in scope: `step`, `parts` (computed before the update), `policy`, `record`; `c` or Ctrl-D quits.",
            flush=True,
        )
        breakpoint()

    phase = debugged_phase(graph)
    unit = "prompts" if phase.sampler is not None else "documents"
    print(f"phase {phase.id}, {phase.objective.use}: 2 {unit}, one update of {_model(graph)}, no filters\n")
    with tempfile.TemporaryDirectory(prefix="prerl-debug-") as folder:
        try:
            debug_step(graph, Path(folder), inspect)
        except bdb.BdbQuit:
            return 0
    return 0


def _model(graph: Graph) -> str:
    start = Plan.from_json(graph.plan).start
    return "the initial model" if start is None else f"the model of {start.origin}"
