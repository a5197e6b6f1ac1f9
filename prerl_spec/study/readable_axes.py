"""Whether arms can be compared at equal tokens, updates and seconds: said beforehand, since a claim needs all of them."""

from collections.abc import Iterator
from math import ceil

from prerl_spec.comparison.equal_amounts import WIDEST_GAP
from prerl_spec.compiler.render.human_units import plural
from prerl_spec.study.study_plan import StudyPlan

LARGEST_SHARE = 0.5
"""Of another arm's amount an arm may well end at half: the null arm takes half the seconds of a step."""


def readable_axes(study: StudyPlan) -> Iterator[str]:
    """A note where `compare` may not know the difference on the axes that arms are not matched in.

    There one run is read from its curve, at the end of the other, between two scores that are at most a quarter of that amount
    apart: scores E of S steps apart reach down to ends at 4 E / S of the run that went further.
    """
    evaluators = study.cells[0].plan.evaluators
    if len(study.arms) < 2 or not evaluators:
        return
    every = [e.component.settings.get("every") for e in evaluators]
    apart = [steps for steps in every if isinstance(steps, int)]
    if not apart:
        yield (
            "no evaluator has `every`: where arms end at other generated tokens, updates or seconds there is no curve to "
            "compare them on at equal ones, and nothing is claimed without all three"
        )
        return
    fewest, closest = _fewest_steps(study), min(apart)
    if fewest is None or closest == 1:
        return
    share = closest / fewest / WIDEST_GAP
    if share > LARGEST_SHARE:
        enough = int(fewest * LARGEST_SHARE * WIDEST_GAP)
        yield (
            f"scores lie {plural(closest, 'step')} apart, and an arm has {fewest}: where one ends at less than "
            f"{min(share, 1):.0%} of another's generated tokens, updates or seconds, the difference at equal ones is not "
            "known, and nothing is claimed without all three; "
            + (f"every = {enough} would do" if enough else "of so few steps every = 1 would not do either")
        )


def _fewest_steps(study: StudyPlan) -> int | None:
    """The steps of the shortest arm behind what all arms share; None where a schedule does not say.

    Arms matched in steps take the budget, which is written or what the first of them takes; others go by their schedules.
    """
    if study.match == "steps" and study.budget is not None:
        return ceil(study.budget)
    common = study.common(study.seeds[0])
    shared = 0 if common is None else common.num_phases
    cells = [cell for cell in study.cells if cell.seed == study.seeds[0]]
    counted = cells[:1] if study.match == "steps" else cells
    of_arms = [[phase.steps for phase in cell.plan.phases[shared:]] for cell in counted]
    known = [sum(step or 0 for step in steps) for steps in of_arms if None not in steps]
    return min((steps for steps in known if steps), default=None)
