"""`prerl-spec resume RUN [SPEC]`: resumes a run; with a SPEC, under a spec that extends the run's."""

import argparse
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from prerl_spec.cli.runs.run import execute
from prerl_spec.cli.shared.diagnostics import print_text
from prerl_spec.cli.shared.launcher import add_processes
from prerl_spec.cli.shared.locked import compile_locked
from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.overrides import add_overrides, overrides
from prerl_spec.compiler.build_graph import build_graph
from prerl_spec.compiler.compare.extension import Extension, extension
from prerl_spec.compiler.compile import read_plan, read_run_plan
from prerl_spec.compiler.past_runs.run_folder import hold_run_folder, is_finished, require_run_folder
from prerl_spec.process.rank_environment import is_main, reports_findings
from prerl_spec.situations import writing
from prerl_spec.storage.chained_lines import append_lines, cut_torn_line, read_lines
from prerl_spec.storage.disk import write_whole
from prerl_spec.storage.run_events import read_run_events
from prerl_spec.storage.sealed import object_text


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument("run", type=file_path, metavar="RUN", help="a run folder")
    parser.add_argument(
        "spec",
        type=file_path,
        nargs="?",
        metavar="SPEC",
        help="a spec that extends the run's: more steps, or further phases",
    )
    add_processes(parser)
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Resumes from the newest valid checkpoint. Raises Drift (exit 4) if the spec changes the meaning of the run."""
    folder: Path = arguments.run
    if arguments.spec is None:
        before = read_run_plan(folder, local_code=bool(arguments.local_code))
        graph, more = build_graph(before, before.spec_text), Extension(None, 0)
    else:
        require_run_folder(folder)
        before = read_plan(folder / "plan.json")
        compiled = compile_locked(arguments.spec, overrides(arguments), locked=False, update=False)
        if reports_findings():
            print_text(compiled.warnings, compiled.sources)
        compiled.require_prerequisites(folder)
        graph, more = compiled.graph, extension(before, compiled.plan)
    read_run_events(folder)
    if is_finished(folder) and more == Extension(None, 0):
        lost = _lost_end(folder)
        if is_main():
            print(lost or f"{folder} is finished: nothing to resume", file=sys.stderr)
        if lost is None:
            return 0

    def lock_folder(stack: ExitStack) -> Path:
        stack.enter_context(hold_run_folder(folder))
        if more != Extension(None, 0):
            with writing(folder, "make the run folder writable"):
                keep_aside(folder, graph.plan, graph.spec_text)
        print(f"resuming: {folder}", file=sys.stderr)
        return folder

    return execute(graph, lock_folder, arguments, is_new=False)


def _lost_end(folder: Path) -> str | None:
    """Why a finished run has to repeat its last steps: its final checkpoint is damaged or gone; None if it is there.
    Raises Damaged if no checkpoint is valid."""
    from prerl_spec.engine.record import checkpoint

    events = read_lines(folder / "events.jsonl").entries
    step, began = events[-1]["global_step"], next((e["global_step"] for e in events if e["event"] == "start"), 0)
    saved = checkpoint.newest(folder / "checkpoints") if step > began else None
    if step <= began or (saved is not None and saved.global_step == step):
        return None
    since = f"after {saved.folder.name}" if saved is not None else "from the start"
    return f"{folder} is finished, but its final checkpoint is damaged or gone: repeating the steps {since}"


def keep_aside(folder: Path, plan: Mapping[str, Any], spec_text: str) -> None:
    """Replaces the run's plan and spec by the extended ones, and keeps the earlier ones as `plan-N.json`, `spec-N.toml`.

    An event is written first: if this process died before its first step, a run whose last event is `end` would count
    as finished, extended or not.
    """
    message = "the run continues under an extended plan; the earlier plan is kept next to it"
    events = folder / "events.jsonl"
    found = read_lines(events)
    cut_torn_line(events, found)
    append_lines(events, [{"event": "warning", "message": message, "time": round(time.time(), 3)}], found.head)
    number = 1 + len(list(folder.glob("plan-*.json")))
    for name, text in (("plan.json", object_text(plan)), ("spec.toml", spec_text)):
        file = folder / name
        stem, suffix = name.split(".")
        write_whole(folder / f"{stem}-{number}.{suffix}", file.read_bytes())
        write_whole(file, text)
