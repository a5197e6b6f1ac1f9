"""Where arms do not meet the same questions, or do not begin from the same base: each such difference, in words.

A difference may be what a study is about, two models or two data sets say; it is said so that nobody takes the arms for paired.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from prerl_spec.compiler.plan import PhasePlan, Plan
from prerl_spec.compiler.planning.digest import meaning


def unpaired(first: str, plans: Mapping[str, Plan]) -> Iterator[str]:
    """For each arm what keeps it from being paired with the first. `plans` has every arm at one seed."""
    for name, plan in plans.items():
        if name != first:
            for what in _differences(plans[first], plan):
                yield f"{name} is not paired with {first} {what}"


def _differences(first: Plan, plan: Plan) -> Iterator[str]:
    if _base(first) != _base(plan):
        yield "in where it begins: model or start.from is another"
    earlier, both = {phase.id: phase for phase in first.phases}, meaning(first)["data"]
    own = meaning(plan)["data"]
    common = [phase for phase in plan.phases if phase.id in earlier]
    if first.phases and not common:
        yield "in any phase: none has the same id, by which phases are told apart"
    for phase in common:
        its_first = earlier[phase.id]
        if phase.uses_rollouts != its_first.uses_rollouts or _questions(phase, own) != _questions(its_first, both):
            yield f"in {phase.id}: it is asked other questions"
        elif phase.units_per_step != its_first.units_per_step:
            units = "prompts" if phase.uses_rollouts else "documents"
            yield (
                f"in {phase.id}: {phase.units_per_step} {units} a step, against {its_first.units_per_step}, are the same "
                "in the same order, and at other steps"
            )


def _base(plan: Plan) -> dict[str, Any]:
    """What decides the weights that a run begins with: an adapter is put on top of them."""
    whole = meaning(plan)
    model = {**whole["model"], "slots": {}, "settings": dict(whole["model"]["settings"])}
    model["settings"].pop("attention", None)
    return {"model": model, "start": whole.get("start")}


def _questions(phase: PhasePlan, data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: (share, data[name]) for name, share in phase.data.items()}
