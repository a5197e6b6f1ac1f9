"""Arms that are scored on a task under other conditions: `compare` refuses their scores, so nothing is run for them.

A condition that is not known before the run, the tokenizer of another model among them, is left to `compare`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from prerl_spec.compiler.evaluator_rendering import declared_rendering
from prerl_spec.compiler.plan import ComponentPlan, EvaluatorPlan, Plan
from prerl_spec.compiler.planning.evaluation_plan import DEFAULT, decoding_of, draws_of, task_plan
from prerl_spec.compiler.planning.study_rules import same_arms
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.evaluated_scores import AT_THE_END
from prerl_spec.compiler.rules.served import served_data, served_evaluator
from prerl_spec.errors import Diagnostic
from prerl_spec.evaluation.packs import packs
from prerl_spec.types import Rendering

TEMPLATED = "the chat template"
"""What an example says of a tokenizer whose chat template has rendered it."""

RUN_SEED = "run.seed"
HASH_DIGITS, SHA_DIGITS = 12, 64


class Conditions(NamedTuple):
    """What is known of how one evaluator scores a task at the end of a run: fields in the order in which they are told, and
    what to write so that a field is the same in all arms."""

    fields: Mapping[str, Any]
    help: Mapping[str, str]


def scored_otherwise(resolved: Resolved, plans: Mapping[str, Plan]) -> Iterator[Diagnostic]:
    """For each arm the first field in which its scores of a task cannot be compared with those of an earlier arm. `plans` has
    the plan of each arm, all with the same seed, in written order."""
    has_template = any(
        phase.example is not None and phase.example.template == TEMPLATED
        for plan in plans.values()
        for phase in plan.phases
    )
    first_of: dict[str, tuple[str, list[Conditions]]] = {}
    for name, plan in plans.items():
        own = _by_task(resolved.arms[name], plan, has_template)
        found = None
        for task, conditions in own.items():
            first, its = first_of.setdefault(task, (name, conditions))
            if first != name and found is None and (differing := _difference(its, conditions)) is not None:
                found = _said(resolved, task, first, name, *differing)
        if found is not None:
            yield found


def _said(resolved: Resolved, task: str, first: str, second: str, field: str, a: Any, b: Any, help: str) -> Diagnostic:
    shown_a, shown_b = _shown(a), _shown(b)
    if shown_a == shown_b and isinstance(a, ComponentPlan):
        shown_a, shown_b = (f"{shown} {json.dumps(dict(c.settings))}" for shown, c in ((shown_a, a), (shown_b, b)))
    message = (
        f"the arms `{first}` and `{second}` cannot be compared on {task}: {field} is {shown_a} in `{first}` and {shown_b} in "
        f"`{second}`"
    )
    return same_arms(resolved, first, second, message, help=help)


def _difference(first: list[Conditions], second: list[Conditions]) -> tuple[str, Any, Any, str] | None:
    """The first known difference; None where the arms have one condition in common, or may have."""
    found = [_first_field(a, b) for a in first for b in second]
    return None if None in found else found[0]


def _first_field(a: Conditions, b: Conditions) -> tuple[str, Any, Any, str] | None:
    both = (field for field in a.fields if field in b.fields)
    differing = next((field for field in both if a.fields[field] != b.fields[field]), None)
    return None if differing is None else (differing, a.fields[differing], b.fields[differing], b.help[differing])


def _by_task(arm: Resolved, plan: Plan, has_template: bool) -> dict[str, list[Conditions]]:
    """The conditions of each task at the end of the arm, an evaluator after the other. The base's scores alone say nothing of
    an arm."""
    found: dict[str, list[Conditions]] = {}
    for number, planned in enumerate(plan.evaluators):
        evaluator: Any = served_evaluator(arm, number).planned
        if not AT_THE_END & set(evaluator.at) and evaluator.every == "off":
            continue
        for task, sampling in _sampling(plan, evaluator, planned, number):
            rendering = _rendering(arm, plan, evaluator, planned, task, has_template)
            fields = sampling | rendering | _judging(arm, plan, evaluator, planned, task)
            help = {field: _help(field, task, evaluator, planned) for field in fields}
            found.setdefault(task, []).append(Conditions(fields, help))
    return found


def _sampling(plan: Plan, evaluator: Any, planned: EvaluatorPlan, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """How each task is sampled by the sampler that the run ends with."""
    sampler = _at_the_end(plan.sampler, [phase.sampler for phase in plan.phases])
    base = DEFAULT if sampler is None else decoding_of(sampler.settings)
    questions = {task.task: task.questions for task in planned.tasks}
    seed, fewshot = _seed(plan, planned, number), planned.component.settings.get("num_fewshot")
    for draw in draws_of(evaluator, base):
        task = task_plan(draw)
        known = {
            **(task.decoding or {}),
            "samples": task.samples,
            "number of questions": questions.get(task.task),
            "seed": seed,
            # "task" is a number that only the task knows.
            "num_fewshot": fewshot if isinstance(fewshot, int) else None,
        }
        yield task.task, {field: value for field, value in known.items() if value is not None}


def _seed(plan: Plan, planned: EvaluatorPlan, number: int) -> int | str | None:
    """The written seed of an evaluator; "run.seed" where it is the run's. None where it cannot be one."""
    if "seed" not in planned.component.settings:
        return None
    seed: int | None = planned.component.settings["seed"]
    given = next((value.given for value in plan.values if value.path == f"evaluate[{number}].seed"), None)
    return RUN_SEED if seed is None or RUN_SEED in (given or "") else seed


def _rendering(
    arm: Resolved, plan: Plan, evaluator: Any, planned: EvaluatorPlan, task: str, has_template: bool
) -> dict[str, Any]:
    """The system prompt, and the arguments of the chat template where there is one."""
    settings = planned.component.settings
    if task in evaluator.data_sets():
        rendering = declared_rendering(served_data(arm, task).component)
    elif {"system", "chat"} <= settings.keys():
        first = next(iter(plan.phases[0].data), None) if plan.phases else None
        default = declared_rendering(None if first is None else served_data(arm, first).component)
        rendering = Rendering(
            chat=default.chat if settings["chat"] is None else settings["chat"],
            system=default.system if settings["system"] is None else settings["system"],
        )
    else:
        return {}
    chat = rendering.chat if rendering.chat == "off" else dict(rendering.chat)
    return {"system": rendering.system or "", **({"chat": chat} if has_template else {})}


def _judging(arm: Resolved, plan: Plan, evaluator: Any, planned: EvaluatorPlan, task: str) -> dict[str, Any]:
    """The rows, and the verifier where it judges the task."""
    known: dict[str, Any] = {}
    verifier = _at_the_end(plan.verifier, [phase.verifier for phase in plan.phases])
    if task in evaluator.data_sets():
        data: Any = served_data(arm, task).component
        known["rows"] = plan.data[task].fingerprint
        if data.verifier is not None:
            verifier = _slot(plan.data[task].component, "verifier")
        verifier = _slot(planned.component, "verifier") or verifier
    elif task not in packs():
        # lm-eval's own tasks judge by themselves, a stranger's as nobody knows.
        verifier = None
    return {field: value for field, value in (known | {"verifier": verifier}).items() if value is not None}


def _slot(component: ComponentPlan, slot: str) -> ComponentPlan | None:
    inner = component.slots.get(slot)
    return None if isinstance(inner, tuple) else inner


def _at_the_end(top: ComponentPlan | None, of_phases: list[ComponentPlan | None]) -> ComponentPlan | None:
    """What an evaluator uses behind the last phase: that phase's, else the top-level one, else that of the first with one."""
    return next((one for one in (*of_phases[-1:], top, *of_phases) if one is not None), None)


def _help(field: str, task: str, evaluator: Any, planned: EvaluatorPlan) -> str:
    """What to write so that a field is the same in all arms."""
    is_data = task in evaluator.data_sets()
    key = "limit" if field == "number of questions" else field
    if key in planned.component.settings or (key == "verifier" and is_data):
        return f"write {key} in [[evaluate]], so that all arms are scored alike"
    if key == "rows":
        return f"score the same rows in all arms: name the other ones otherwise than `{task}`"
    if is_data and key in ("system", "chat"):
        return f"write the same {key} in data.{task} of all arms, which `{planned.component.use}` asks with"
    return f"give all arms the same {key} to be scored with: an evaluator has that of its arm"


def _shown(value: Any) -> str:
    if isinstance(value, ComponentPlan):
        return value.use
    return value[:HASH_DIGITS] if isinstance(value, str) and len(value) == SHA_DIGITS else json.dumps(value)
