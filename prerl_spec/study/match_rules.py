"""Arms that take nothing of what a study matches: they would never reach a budget of it."""

from dataclasses import replace
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.graph import Counted
from prerl_spec.compiler.objective_needs import trains
from prerl_spec.compiler.planning.study_rules import arm_path
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.errors import Diagnostic, Label, SpecInvalid
from prerl_spec.study.study_plan import StudyPlan

_TAKES: dict[Counted, tuple[str, str]] = {
    "generated_tokens": ("generates no tokens", 'match = "trained_tokens", "steps" or "seconds"'),
    "trained_tokens": ("trains on no tokens", 'match = "generated_tokens", "steps" or "seconds"'),
}
"""What is said of an arm that takes nothing of what is matched, and what else to match; every arm takes steps and seconds."""


def held_to_its_match(study: StudyPlan) -> StudyPlan:
    """The study, its arms left to their schedules where none of them takes anything of what is matched.

    Raises SpecInvalid where some arms take of it and others do not, and where a budget is written that none can reach.
    """
    if study.match not in _TAKES:
        return study
    common = study.common(study.seeds[0])
    shared = 0 if common is None else common.num_phases
    without = [name for name, arm in study.resolved.arms.items() if not _takes(arm, study.match, shared)]
    if not without:
        return study
    if len(without) == len(study.arms) and study.budget is None:
        return replace(study, is_cut=False)
    raise SpecInvalid([_unreachable(study, without[0])], study.resolved.sources)


def _takes(arm: Resolved, match: Counted, shared: int) -> bool:
    """Whether any phase behind the first `shared` ones samples, or trains."""
    for number in range(shared, len(arm.spec.phases)):
        objective: Any = arm.built[f"phases[{number}].objective"].component
        if objective.uses_rollouts if match == "generated_tokens" else trains(objective):
            return True
    return False


def _unreachable(study: StudyPlan, name: str) -> Diagnostic:
    resolved, (does, instead) = study.resolved, _TAKES[study.match]
    written = [path for path in ("study.match", "study.budget") if resolved.value_span(path) is not None]
    arm = resolved.key_span(arm_path(name))
    path = written[0] if written else arm_path(name)
    return Diagnostic(
        Code.CONTRADICTION,
        f"the arm `{name}` {does} of its own, and would never reach a budget of {study.match}",
        resolved.value_span(path) if written else arm,
        path=path,
        labels=(Label(arm, f"the arm `{name}`"),) if written and arm is not None else (),
        notes=() if "study.match" in written else (f'match is "{study.match}" where it is not written',),
        help=f"write {instead}",
    )
