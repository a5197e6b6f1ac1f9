"""The steps behind a run's weights, from the initial model on: its own, and those of the runs that it was started from."""

from pathlib import Path
from typing import Any

from prerl_spec.comparison.scored_run import Amounts, Taken
from prerl_spec.compiler.compare.seeds import source_of
from prerl_spec.compiler.compile import read_plan
from prerl_spec.compiler.plan import Plan
from prerl_spec.report.tables.run_tables import RunRecord, read_run
from prerl_spec.storage.run_events import read_run_events


def steps_behind(folder: Path, plan: Plan, record: RunRecord) -> tuple[str, tuple[Taken, ...]]:
    """What the steps begin with ("": the initial model, else the start whose run is not here), and the steps.

    Raises Damaged.
    """
    own = _own(folder, record)
    start = plan.start
    if start is None:
        return "", own
    source = source_of(folder, plan)
    if start.found is None or source is None:
        return start.origin if start.found is None else start.found.content, own
    begins, before = steps_behind(source, read_plan(source / "plan.json"), read_run(source))
    return begins, (*(step for step in before if step.global_step <= start.found.global_step), *own)


def _own(folder: Path, record: RunRecord) -> tuple[Taken, ...]:
    hashes: dict[int, Any] = {
        event["global_step"]: event.get("hashes", {}).get("weights")
        for event in read_run_events(folder).entries
        if event.get("event") == "step"
    }
    return tuple(
        Taken(
            step.global_step,
            Amounts(
                generated_tokens=step.generated_tokens,
                trained_tokens=step.trained_tokens,
                steps=1,
                updates=step.applied,
                seconds=step.seconds.get("total", 0.0),
            ),
            hashes.get(step.global_step),
        )
        for step in record.steps
    )
