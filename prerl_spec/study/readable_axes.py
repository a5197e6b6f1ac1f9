"""Whether arms can be compared at equal tokens, updates and seconds: said beforehand, since a claim needs all of them."""

from collections.abc import Iterator

from prerl_spec.comparison.equal_amounts import WIDEST_GAP
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
    fewest = _fewest_steps(study)
    if fewest is None:
        return
    share = min(apart) / fewest / WIDEST_GAP
    if share > LARGEST_SHARE:
        yield (
            f"scores lie {min(apart)} steps apart, and an arm has {fewest}: where one ends at less than {min(share, 1):.0%} of "
            "another's generated tokens, updates or seconds, the difference at equal ones is not known, and nothing is claimed "
            f"without all three; every = {max(1, int(fewest * LARGEST_SHARE * WIDEST_GAP))} would do"
        )


def _fewest_steps(study: StudyPlan) -> int | None:
    """The steps of the shortest arm behind what all arms share; None where a schedule does not say."""
    common = study.common(study.seeds[0])
    shared = 0 if common is None else common.num_phases
    of_arms = [
        [phase.steps for phase in cell.plan.phases[shared:]] for cell in study.cells if cell.seed == study.seeds[0]
    ]
    known = [sum(step or 0 for step in steps) for steps in of_arms if None not in steps]
    return min((steps for steps in known if steps), default=None)
