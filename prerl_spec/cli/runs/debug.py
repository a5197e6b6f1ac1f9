"""`run --debug`: two prompts, one update, every token's advantage, weight and term, and then the debugger."""

import bdb
import os
import tempfile
from pathlib import Path

from prerl_spec.compiler.graph import Graph
from prerl_spec.errors import UsageError


def debug(graph: Graph) -> int:
    """Prints the tables and stops at `breakpoint()`; leaving the debugger ends the command with 0.

    Raises UsageError for a spec that trains nothing, and under a launcher of several processes.
    """
    from prerl_spec.engine.inspect.debug_step import Seen, debug_step, debugged_phase
    from prerl_spec.report.terminal.token_table import token_table

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("--debug runs one process, and a launcher has started several", hint="start it without one")
    if not graph.phases:
        raise UsageError("there is nothing to debug: the spec has no phases", hint="debug a spec that trains")

    def look(seen: Seen) -> None:
        step, parts, policy, record = seen.step, seen.parts, seen.policy, seen.record
        print(token_table(step, policy.codec, parts, range(len(step.samples))))
        moved = f"gradient norm {record.metrics['grad_norm']:.4g}" if record.applied else "no weight moved"
        print(f"\none update taken: {moved}")
        print(
            "`step`, `parts` (numbers before the update), `policy` and `record` are here; `c` or Ctrl-D ends.",
            flush=True,
        )
        breakpoint()

    phase = debugged_phase(graph)
    unit = "prompts" if phase.sampler is not None else "documents"
    print(
        f"phase {phase.id}, {phase.objective.use}: 2 {unit}, one update, from the model as the spec gives it; no filters\n"
    )
    with tempfile.TemporaryDirectory(prefix="prerl-debug-") as folder:
        try:
            debug_step(graph, Path(folder), look)
        except bdb.BdbQuit:
            return 0
    return 0
