"""A calibration as tables for a terminal: seconds per stage, tokens per second, and memory next to the plan's estimate."""

from prerl_spec.compiler.past_runs.calibration import PhaseTimes, Profile
from prerl_spec.compiler.past_runs.measured_times import measured, whole_seconds
from prerl_spec.compiler.plan import PhasePlan, Plan
from prerl_spec.compiler.render.human_units import duration, plural, size
from prerl_spec.report.terminal.summary import aligned

STAGES = ("sample", "verify", "train", "other", "total")
SPEEDS = (("generated", "sample"), ("trained", "train"))
"""Token counts, and the stage that generates or uses them."""


def profile_page(plan: Plan, found: Profile) -> str:
    """Seconds, tokens and memory of each phase, then the evaluators, then the estimated time of the whole run."""
    blocks = []
    if found.phases:
        planned = {p.id: p for p in plan.phases}
        header = ["seconds per step", *STAGES, "first", "generated/s", "trained/s", "peak memory", "planned"]
        blocks.append(aligned([header, *(_phase_row(t, planned[t.phase]) for t in found.phases)], left=1))
    if found.evaluators:
        header = ["evaluator", "scored", "seconds", "full evaluation", "evaluations"]
        rows = [
            [
                t.use,
                f"{t.asked:,} of {t.of:,}",
                f"{t.taken:.1f}",
                f"{t.whole:.1f}",
                "?" if e.rounds is None else str(e.rounds),
            ]
            for t, e in zip(found.evaluators, plan.evaluators, strict=True)
        ]
        blocks.append(aligned([header, *rows], left=1))
    blocks.append("\n".join(_end(plan, found)))
    return "\n\n".join(blocks)


def _phase_row(times: PhaseTimes, planned: PhasePlan) -> list[str]:
    speeds = [times.tokens_per_second(what, stage) for what, stage in SPEEDS]
    return [
        times.phase,
        *(f"{times.stage(stage):.2f}" for stage in STAGES),
        f"{times.first:.2f}",
        *("-" if not speed else f"{speed:,.0f}" for speed in speeds),
        size(times.peak_bytes),
        "unknown" if planned.cost is None else size(sum(planned.cost.memory_bytes.values())),
    ]


def _end(plan: Plan, found: Profile) -> list[str]:
    steps = max((len(t.seconds) for t in found.phases), default=0)
    timed = f"{plural(steps, 'timed step')} per phase, the first listed separately; " if steps else ""
    lines = [f"{timed}{duration(found.opening)} to open model and data"]
    used = measured(plan)
    whole = None if used is None else whole_seconds(plan, used)
    if whole is not None and used is not None:
        estimate = plan.estimated_seconds
        beside = (
            ""
            if estimate is None
            else f" (by formula, as if every response had the maximum length: {duration(estimate)})"
        )
        lines.append(f"the whole run: about {duration(whole)}{used.limits}{beside}")
    lines.append(
        f"{found.folder}: measured times, used by `plan` from now on, and traces (for Perfetto or chrome://tracing)"
    )
    return lines
