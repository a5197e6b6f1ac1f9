"""Runs the rules that components define themselves (`check`) on the wiring of each phase."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.resolved import Built, Resolved
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.rule_diagnostic import at_last_written, setting_places, use_place
from prerl_spec.compiler.rules.served import Served, nested, served_model
from prerl_spec.errors import Diagnostic
from prerl_spec.registry.component import Place, Wiring
from prerl_spec.registry.entry_points import PluginFault
from prerl_spec.registry.plugin_contract import conflicts

T = TypeVar("T")


def phase_conflicts(resolved: Resolved, roles: PhaseRoles, following: PhaseRoles | None) -> Iterator[Diagnostic]:
    """Every violated rule of the components of a phase, nested ones included."""
    wiring = _wiring(resolved, roles, following)
    owners = _owners(roles, following)
    for served in roles.serving:
        for path, built in nested(served):
            yield from _checked(resolved, path, built, wiring, owners)


def lone_conflicts(resolved: Resolved, served: Served[object], phases: Sequence[PhaseRoles]) -> Iterator[Diagnostic]:
    """Violated rules of a component outside phases: a model, a data set, an evaluator, a tracker."""
    drawing = [roles.sampler for roles in phases if roles.uses_rollouts and roles.sampler is not None]
    objectives = _all_of([roles.objective for roles in phases])
    samplers = _all_of(drawing)
    whole = objectives is not None and samplers is not None
    wiring = Wiring(
        written=frozenset(),
        model=served_model(resolved).component,
        objectives=tuple(objectives or ()) if whole else (),
        samplers=tuple(samplers or ()) if whole else (),
    )
    for path, built in nested(served):
        yield from _checked(resolved, path, built, wiring, {"model": "model"})


def _checked(
    resolved: Resolved, path: str, built: Built, wiring: Wiring, owners: dict[str, str]
) -> Iterator[Diagnostic]:
    try:
        found = conflicts(
            built.component, replace(wiring, written=frozenset(built.written)), built.use, built.distribution
        )
    except PluginFault as fault:
        span, where = resolved.use_span(path), use_place(resolved, path)
        yield Diagnostic(fault.code, fault.message, span, where, help=fault.help)
        return
    for conflict in found:
        places = [
            p for place in conflict.places for p in _places(resolved, place, {**owners, "self": path}, built, wiring)
        ]
        yield at_last_written(
            resolved,
            Code(conflict.code),
            conflict.message,
            places or [(use_place(resolved, path), None)],
            help=conflict.help,
        )


def _places(
    resolved: Resolved, place: Place, owners: dict[str, str], built: Built, wiring: Wiring
) -> Iterator[tuple[str, object]]:
    """The path and value of a setting that a rule names; nothing for a neighbour that does not exist."""
    owner = owners.get(place.owner)
    if owner is None:
        return
    if place.owner == "phase" and place.setting != "use":
        yield f"{owner}.{place.setting}", getattr(wiring, place.setting, None)
    elif place.owner == "self":
        yield from setting_places(resolved, owner, built.component, place.setting)
    else:
        holder = getattr(wiring, _NEIGHBOUR.get(place.owner, place.owner), None)
        yield from setting_places(resolved, owner, holder, place.setting)


_NEIGHBOUR = {"next_phase_optimizer": "next_optimizer"}


def _owners(roles: PhaseRoles, following: PhaseRoles | None) -> dict[str, str]:
    """Owner in a Place -> path in the spec."""
    owners = {"model": "model", "phase": roles.path, "objective": roles.objective.path, "schedule": roles.schedule.path}
    for role in ("sampler", "verifier", "optimizer"):
        served: Served[object] | None = getattr(roles, role)
        if served is not None:
            owners[role] = served.path
    if following is not None and following.optimizer is not None:
        owners["next_phase_optimizer"] = following.optimizer.path
    return owners


def _wiring(resolved: Resolved, roles: PhaseRoles, following: PhaseRoles | None) -> Wiring:
    optimizer = _component(roles.optimizer)
    next_optimizer = None if following is None else _component(following.optimizer)
    return Wiring(
        written=frozenset(),
        phase=roles.spec.id,
        updates_per_batch=roles.spec.updates_per_batch,
        is_last_phase=following is None,
        model=served_model(resolved).component,
        sampler=_component(roles.sampler),
        verifier=_component(roles.verifier),
        optimizer=optimizer,
        objective=roles.objective.component,
        schedule=roles.schedule.component,
        # An invalid or missing next optimizer has its own diagnostic; rules of this phase must not report it again.
        next_optimizer=optimizer if following is not None and next_optimizer is None else next_optimizer,
        has_rewards=bool(roles.rewards),
    )


def _component(served: Served[T] | None) -> T | None:
    return None if served is None else served.component


def _all_of(several: Sequence[Served[T]]) -> list[T] | None:
    """The components; None if one of them is invalid."""
    found = [served.component for served in several]
    whole = [component for component in found if component is not None]
    return whole if len(whole) == len(found) else None
