"""Checks whether a run may resume under another plan: only if no step already done would have been different."""

from dataclasses import dataclass

from prerl_spec.compiler.plan import PhasePlan, Plan
from prerl_spec.compiler.planning.flat_meaning import differing, leaves
from prerl_spec.errors import Drift
from prerl_spec.language.document import join_path

BUDGET = "cut.budget"


@dataclass(frozen=True)
class Extension:
    """What a new plan adds to an old one: appended phases, more steps in its last phase (`reopened`: its index), or more of
    the budget that a study ends it at (`raised`)."""

    reopened: int | None
    appended: int
    raised: bool = False


def extension(before: Plan, after: Plan) -> Extension:
    """How `after` extends `before`. Raises Drift with every difference that is not an extension."""
    last = len(before.phases) - 1
    steps = join_path("phases", before.phases[last].id) + ".schedule.steps" if before.phases else None
    behind = [phase.id for phase in after.phases[len(before.phases) :]]
    falling = _lr_falls_over_the_end(before)
    drift: list[str] = []
    reopened = None
    raised = before.cut is not None and after.cut is not None and after.cut.budget > before.cut.budget
    if behind and falling and _carries_lr(before.phases[last]):
        drift.append(
            f"{join_path('phases', behind[0])}: the learning rate of `{falling}` would be carried into it and decay "
            "more slowly, so earlier steps would differ"
        )
    for path, old, new in differing(leaves(before), leaves(after)):
        if path == BUDGET and raised:
            continue
        if before.cut is not None and (path == steps or path == "phases"):
            drift.append(f"{path}: {old} -> {new} (a study's budget ends this run, and its phases are what they are)")
            continue
        if path == "phases" and new == [*old, *behind]:
            continue
        if path == steps and isinstance(old, int) and isinstance(new, int) and new > old:
            if not falling:
                reopened = last
                continue
            drift.append(
                f"{path}: {old} -> {new} (its learning rate runs over these steps, so earlier ones would differ)"
            )
            continue
        drift.append(f"{path}: {old} -> {new}")
    if drift:
        listed = "\n  ".join(drift)
        raise Drift(
            f"the spec differs in meaning from this run\n  {listed}",
            hint="`resume RUN` without a spec goes on with the run's own plan; else start another run, or revert these "
            "changes. A run can get more phases, or more steps in its last one",
        )
    return Extension(reopened, len(behind), raised)


def _lr_falls_over_the_end(plan: Plan) -> str | None:
    """Id of the phase whose learning-rate decay extends over the last phase's steps, None if there is none."""
    for phase in reversed(plan.phases):
        if phase is not plan.phases[-1] and not _carries_lr(phase):
            return None
        if phase.optimizer.settings.get("lr_schedule", "constant") != "constant":
            return phase.id
    return None


def _carries_lr(phase: PhasePlan) -> bool:
    return phase.schedule.settings.get("lr_schedule") == "carry"
