"""Checks the built components against one another: ports, names inside the spec, rules across tables, unused parts.

Works on declarations alone, without heavy imports. Rules of a single component are defined by that component.
"""

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from prerl_spec.compiler.resolve.resolve import new_in_arm
from prerl_spec.compiler.resolve.resolved import Resolved, in_file_order
from prerl_spec.compiler.rules import component_rules, name_rules, phase_rules, port_rules, reward_names, unused_rules
from prerl_spec.compiler.rules.phase_roles import PhaseRoles, phase_roles
from prerl_spec.compiler.rules.served import Served, served_data, served_model
from prerl_spec.errors import Diagnostic
from prerl_spec.registry.kinds.declared import Declared


def wire(resolved: Resolved) -> tuple[Diagnostic, ...]:
    """Every violated rule between components, each once.

    Rules that depend on an invalid component are skipped.
    """
    found: list[Diagnostic] = []
    if not resolved.has_gaps:  # the definition of a name may be on a line that could not be read
        found += name_rules.phase_order(resolved)
        found += name_rules.phase_data(resolved)
        found += name_rules.tokenizer_from_data(resolved)
    phases = phase_roles(resolved)
    for roles, following in zip_longest(phases, phases[1:]):
        found += _of_phase(resolved, roles, following)
        if not resolved.has_gaps:  # keys that seem to be missing may be on an unread line
            found += port_rules.missing_roles(resolved, roles)
    for served in outside_phases(resolved):
        found += component_rules.lone_conflicts(resolved, served, phases)
        found += name_rules.data_named_by(resolved, served)
        found += port_rules.outside_ports(resolved, served, phases)
    if not resolved.has_gaps:
        found += unused_rules.unused(resolved, phases)
    return tuple(_each_once(map(resolved.with_definition, found)))


def diagnose(resolved: Resolved) -> tuple[Diagnostic, ...]:
    """All diagnostics of a spec and its study arms, in file order: those of `resolve`, then those of `wire`."""
    own = wire(resolved)
    of_arms = [d for name, arm in resolved.arms.items() for d in new_in_arm(name, wire(arm), own)]
    return in_file_order([*resolved.diagnostics, *own, *of_arms], list(resolved.sources))


def outside_phases(resolved: Resolved) -> Iterator[Served[Declared]]:
    """Components outside phases: model, data sets, evaluators and trackers."""
    yield served_model(resolved)
    for name in resolved.spec.data:
        yield served_data(resolved, name)
    for key in ("evaluate", "trackers"):
        for number in range(len(getattr(resolved.spec, key))):
            yield Served(f"{key}[{number}]", resolved.built.get(f"{key}[{number}]"))


def _of_phase(resolved: Resolved, roles: PhaseRoles, following: PhaseRoles | None) -> Iterator[Diagnostic]:
    yield from component_rules.phase_conflicts(resolved, roles, following)
    yield from phase_rules.step_size(resolved, roles)
    yield from phase_rules.whole_updates(resolved, roles)
    yield from phase_rules.reference_switched_off(resolved, roles)
    yield from phase_rules.group_baseline(resolved, roles)
    yield from phase_rules.truncated_sampling(resolved, roles)
    yield from phase_rules.steps_that_are_not_known(resolved, roles)
    yield from phase_rules.inherited_moments(resolved, roles, following)
    yield from phase_rules.data_that_begins_anew(resolved, roles, following)
    yield from reward_names.names_of_rewards(resolved, roles)
    yield from port_rules.unmatched_ports(resolved, roles)
    yield from name_rules.data_named_by(resolved, roles.objective)


def _each_once(found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Removes duplicates: a top-level component may violate the same rule in several phases."""
    seen: set[tuple[str, str, object]] = set()
    for diagnostic in found:
        key = (diagnostic.code, diagnostic.path, diagnostic.message)
        if key not in seen:
            seen.add(key)
            yield diagnostic
