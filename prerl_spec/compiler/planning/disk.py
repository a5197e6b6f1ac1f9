"""The disk that a whole run needs, and whether it is there."""

import os
import shutil
from pathlib import Path

from prerl_spec.compiler.estimates.disk_bytes import (
    WEIGHT_BYTES,
    DiskBytes,
    checkpoint_bytes,
    journal_step_bytes,
    samples_bytes,
)
from prerl_spec.compiler.past_runs.run_folder import unfinished_run
from prerl_spec.compiler.plan import PhasePlan, Plan, PrerequisitePlan

HINT = "free space there, set run.output_dir to a larger disk, or lower checkpoint.keep"


def disk_bytes(plan: Plan) -> DiskBytes:
    """What the whole run writes and keeps."""
    steps = [phase.steps for phase in plan.phases]
    by_step = {phase.id: _journal_step(phase) for phase in plan.phases}
    journal = None if None in steps else sum(by_step[p.id] * (p.steps or 0) for p in plan.phases)
    adapter = plan.model.slots.get("adapter") is not None
    trained = plan.adapter_parameters if adapter else plan.num_parameters
    if trained is None or plan.num_parameters is None:
        return DiskBytes(None, None, by_step, journal, _samples(plan))
    each, merged = checkpoint_bytes(trained), plan.num_parameters * WEIGHT_BYTES if adapter else 0
    keep, ends = plan.checkpoint["keep"], len(plan.phases)
    # Whatever is kept at the end: each phase's end, and the newest ones, of which the last phase's end is one.
    taken = ends if None in steps else sum(-(-(n or 0) // plan.checkpoint["every"]) for n in steps)
    certain = max(ends, min(keep, taken))
    most = each * (keep + ends) + merged * ends
    return DiskBytes(each * certain + merged * ends, most, by_step, journal, _samples(plan))


def disk_need(plan: Plan, folder: Path | None = None) -> PrerequisitePlan | None:
    """An unmet need if the checkpoints that a run certainly keeps do not fit where `folder`, or its output folder, lies;
    None if they do, or nothing is known."""
    need, free = disk_bytes(plan), free_bytes(plan, folder)
    if need.checkpoints_certain is None or free is None or need.checkpoints_certain <= free:
        return None
    place = str(folder or plan.output_dir)
    found = f"{_size(free)} free; its checkpoints alone take {_size(need.checkpoints_certain)}"
    return PrerequisitePlan("disk", place, None, ("every run",), False, found, HINT)


def disk_warning(plan: Plan, folder: Path | None = None) -> str | None:
    """Where free space may run out: responses of maximum length would fill it."""
    need, free = disk_bytes(plan), free_bytes(plan, folder)
    if free is None or need.known <= free:
        return None
    checkpoints = (
        "checkpoints of unknown size" if need.checkpoints is None else f"{_size(need.checkpoints)} of checkpoints"
    )
    journal = "a journal of unknown size" if need.journal is None else f"{_size(need.journal)} of journal"
    samples = "" if need.samples == 0 else ", evaluated responses of unknown size"
    samples = f", {_size(need.samples)} of evaluated responses" if need.samples else samples
    return (
        f"{folder or plan.output_dir} has {_size(free)} free; the run writes {checkpoints}{samples} and {journal} at most, if "
        "every response has the maximum length"
    )


def free_bytes(plan: Plan, folder: Path | None = None) -> int | None:
    """Bytes free for the run, those that its unfinished folder already takes included; None if the system does not say."""
    output_dir = Path(plan.output_dir)
    try:
        own = folder or unfinished_run(output_dir, plan.name, plan.digest)
        place = (own or output_dir).absolute()
        while not place.exists():
            place = place.parent
        usage = shutil.disk_usage(place)
        if usage.total == 0:  # /proc and its like: what cannot be written there is told where it is written
            return None
        return usage.free + (0 if own is None else _bytes_below(own))
    except OSError:
        return None


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 2**20:,.0f} MiB" if num_bytes < 2**30 else f"{num_bytes / 2**30:,.1f} GiB"


def _bytes_below(folder: Path) -> int:
    files = (Path(where) / name for where, _, names in os.walk(folder) for name in names)
    return sum(file.stat(follow_symlinks=False).st_size for file in files)


def _samples(plan: Plan) -> int | None:
    """What the evaluations of a run write of their responses; None if their number is unknown."""
    total = 0
    for evaluator in plan.evaluators:
        drawn = [t for t in evaluator.tasks if t.generates]
        if evaluator.rounds == 0 or (evaluator.tasks and not drawn):
            continue
        if evaluator.rounds is None or evaluator.tokens_at_most is None:
            return None
        of_round = sum((t.questions or 0) * (t.samples or 0) for t in drawn)
        total += samples_bytes(evaluator.rounds * of_round, evaluator.tokens_at_most)
    return total


def _journal_step(phase: PhasePlan) -> int:
    if not phase.uses_rollouts:
        return 0
    return journal_step_bytes(phase.attempts_per_step * (1 + phase.refill_rounds), phase.max_new_tokens)
