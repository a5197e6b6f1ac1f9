"""The metrics that a phase's steps can have, and a schedule that waits for another one (E0207).

Asked when a spec is planned: `validate` takes any name, as it takes any task.
"""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.objective_needs import every_need
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.evaluated_scores import Scored, given_scores, gives, scored_by, scored_within
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.errors import Diagnostic
from prerl_spec.language.suggest import nearest
from prerl_spec.registry.component import Component, MetricName
from prerl_spec.registry.reward_base import part_name
from prerl_spec.types import VERDICT_PART, Outcome

TRAINED = ("loss", "lr", "grad_norm", "parameters_moved", "groups_with_signal")
"""Of every step."""
SAMPLED = (
    "reward_mean",
    *(f"verdict_{outcome.value}" for outcome in Outcome),
    *("verdict_timeout_by_answer", "response_length", "truncated", "groups_discarded", "entropy"),
    *("logp_conditional", "sampler_gap", "kl_sampler_trainer"),
)
"""Of a step with rollouts, as far as the sampler says them."""
MEASURING = frozenset({"measure", "after", "measures", "credit", "credits"})
"""Methods that return metrics."""


def strange_metrics(resolved: Resolved, phases: tuple[PhaseRoles, ...]) -> Iterator[Diagnostic]:
    """E0207 at each setting that names a metric which neither the engine nor anything in the spec gives, or not before the
    phase ends."""
    for number, roles in enumerate(phases):
        built = roles.schedule.built
        if built is None or not (named := list(_named(built.component))):
            continue
        known = known_metrics(resolved, roles)
        evaluated = [tasks for _, tasks in scored_by(resolved)]
        for setting, name in named:
            if known is not None and not _is_known(name, known, evaluated):
                yield _unknown(resolved, roles, setting, name, (*known, *given_scores(evaluated)))
            elif known is not None and not _is_known(name, known, list(scored_within(resolved, number))):
                yield _too_late(resolved, roles, setting, name)


def _unknown(resolved: Resolved, roles: PhaseRoles, setting: str, name: str, known: tuple[str, ...]) -> Diagnostic:
    path = f"{roles.schedule.path}.{setting}"
    near = nearest(name, [one for one in known if "*" not in one])
    return Diagnostic(
        Code.NOT_A_CHOICE,
        f"{setting}: nothing gives {roles.title} a metric or a score `{name}`",
        resolved.value_span(path),
        path=path,
        help=f"did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else None,
        notes=(f"known are {', '.join(known)}",),
    )


def _too_late(resolved: Resolved, roles: PhaseRoles, setting: str, name: str) -> Diagnostic:
    path = f"{roles.schedule.path}.{setting}"
    return Diagnostic(
        Code.NOT_A_CHOICE,
        f"{setting}: `{name}` is not measured before {roles.title} ends",
        resolved.value_span(path),
        path=path,
        help="set the evaluator's `every` to a number of steps below `patience`",
    )


def known_metrics(resolved: Resolved, roles: PhaseRoles) -> tuple[str, ...] | None:
    """Patterns of the metrics of a phase's steps, each once; None where a component does not say what it measures."""
    objective = roles.objective.component
    if objective is None:
        return None
    measuring: list[Any] = list(objective.parts())
    found = list(TRAINED)
    if roles.uses_rollouts:
        found = [*SAMPLED, *sorted({f"logp_{need.view.name}" for need in every_need(objective)}), *found]
        terms = [served.built for served in roles.rewards if served.built is not None]
        found += [f"reward_{part_name(term.use, term.component)}" for term in terms]
        found += [f"reward_{VERDICT_PART}"] if terms else []
        measuring += [served.component for served in roles.probes]
    for component in measuring:
        if component is None or (said := said_by(component)) is None:
            return None
        found += said
    return tuple(dict.fromkeys(found))


def said_by(component: Component) -> tuple[str, ...] | None:
    """Its `metric_names`; None where a method of a subclass measures anew and says nothing."""
    for kind in type(component).__mro__:
        if "metric_names" in vars(kind):
            return component.metric_names
        if MEASURING & vars(kind).keys():
            return None
    return None


def _named(component: Component) -> Iterator[tuple[str, str]]:
    """(setting, metric) for each setting that names one."""
    for setting, info in type(component).model_fields.items():
        if any(isinstance(mark, MetricName) for mark in info.metadata):
            yield setting, getattr(component, setting)


def _is_known(name: str, known: tuple[str, ...], evaluated: Sequence[Scored | None]) -> bool:
    if any(fnmatchcase(name, pattern) for pattern in known):
        return True
    task, slash, metric = name.rpartition("/")
    return bool(slash) and gives(evaluated, task, metric)
