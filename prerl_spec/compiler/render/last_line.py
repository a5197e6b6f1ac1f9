"""What a plan ends with: how long the run takes, what it costs, and whether it can start."""

from dataclasses import dataclass

from prerl_spec.compiler.past_runs.measured_lengths import Lengths
from prerl_spec.compiler.past_runs.measured_times import Measured, whole_seconds
from prerl_spec.compiler.plan import Plan, PrerequisitePlan
from prerl_spec.compiler.planning.disk import disk_need
from prerl_spec.compiler.render.human_units import duration, line, plural
from prerl_spec.compiler.render.price import cost_words
from prerl_spec.compiler.render.render_phase import length_share


@dataclass(frozen=True)
class Seen:
    """What was found beside the plan: times and lengths of earlier runs, unmet needs of this machine, the run folder in words,
    whether all rows were read, and US dollars of a GPU hour."""

    times: Measured | None = None
    lengths: Lengths | None = None
    further: tuple[PrerequisitePlan, ...] = ()
    folder: str | None = None
    refused: str | None = None
    """Why a run cannot take its folder."""
    rows_read: int | None = None
    """Rows of each data set that were looked at; None: all."""
    price: float | None = None


def disk_needs(plan: Plan) -> tuple[PrerequisitePlan, ...]:
    need = None if plan.hardware.is_named else disk_need(plan)
    return () if need is None else (need,)


def last_line(plan: Plan, seen: Seen) -> str:
    return "\n".join(line("", f"{_whole_time(plan, seen)}; {_ready(plan, seen)}", indent=0, column=0))


def _ready(plan: Plan, seen: Seen) -> str:
    """Whether a run can start, as far as that was looked at."""
    unmet = [*plan.unmet, *disk_needs(plan), *seen.further]
    if plan.hardware.is_named:
        words = "" if not unmet else f", and {plural(len(unmet), 'need')} would not be met there"
        return f"whether a run can start there, `plan --here` on that machine tells{words}"
    if unmet:
        return f"a run cannot start here: {plural(len(unmet), 'need')} not met"
    if seen.refused is not None:
        return f"a run cannot start here: {seen.refused}"
    provisos = []
    if any(prerequisite.met is None for prerequisite in plan.prerequisites):
        provisos.append("what is unknown above is met")
    if seen.rows_read is not None and any((data.rows or 0) > seen.rows_read for data in plan.data.values()):
        provisos.append(f"all rows are as the first {seen.rows_read} (`plan --here` reads them all)")
    return "a run can start here" + (f" if {' and '.join(provisos)}" if provisos else "")


def _whole_time(plan: Plan, seen: Seen) -> str:
    found = seen.times
    if found is not None and (seconds := whole_seconds(plan, found)) is not None:
        opening = "" if found.opening is None else f", plus {duration(found.opening)} of start-up"
        measured = f"about {duration(seconds)} in all{opening}, as measured in {found.folder}{found.limits}"
        return measured + _price(plan, seen, seconds)
    if plan.estimated_seconds is None:
        return "time unknown"
    longest = plan.estimated_seconds
    if not any(phase.uses_rollouts for phase in plan.phases) and not plan.evaluators:
        why = f"a rough estimate{_left_out(plan)}; `run SPEC --profile` measures"
        return f"about {duration(longest)} in all ({why}){_price(plan, seen, longest)}"
    bound = f"at most about {duration(longest)} in all"
    if (seconds := _at_measured_lengths(plan, seen.lengths)) is None:
        why = f"a rough bound, as if every response had the maximum length{_left_out(plan)}; `run SPEC --profile` measures"
        return f"{bound} ({why}){_price(plan, seen, longest, 'at most ')}"
    why = (
        f"a rough estimate at measured lengths of training's responses, evaluations at maximum length{_left_out(plan)}"
    )
    return f"about {duration(seconds)} in all ({why}; {bound}){_price(plan, seen, seconds)}"


def _left_out(plan: Plan) -> str:
    """What the estimate of the whole time does not count."""
    parts = ["start-up"]
    if any(phase.verifier is not None for phase in plan.phases if phase.uses_rollouts) or plan.evaluators:
        parts.append("verification")
    if any(not task.generates for evaluator in plan.evaluators for task in evaluator.tasks):
        parts.append("tasks scored by log-probabilities")
    if plan.phases:
        parts.append("checkpoints")
    return f", without {' and '.join([', '.join(parts[:-1]), parts[-1]] if parts[1:] else parts)}"


def _at_measured_lengths(plan: Plan, lengths: Lengths | None) -> float | None:
    """Seconds of the whole run; None unless a length was measured for every phase with rollouts."""
    whole = plan.estimated_seconds
    for phase in plan.phases:
        if not phase.uses_rollouts or whole is None:
            continue
        share = length_share(phase, lengths)
        if share is None or phase.cost is None or phase.steps is None:
            return None
        whole -= (phase.cost.seconds_per_step - phase.cost.seconds_at(share)) * phase.steps
    return whole if lengths is not None else None


def _price(plan: Plan, seen: Seen, seconds: float, bound: str = "") -> str:
    return "" if seen.price is None else f", {bound}{cost_words(seconds, plan.hardware, seen.price)}"
