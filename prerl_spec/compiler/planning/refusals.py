"""What components say that a run would refuse: of their files and names as needs of the plan that are never met, of their
settings as errors of the spec."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from prerl_spec.compiler.build_graph import rebuild_component, registry_of
from prerl_spec.compiler.estimates.prerequisites import is_refusal
from prerl_spec.compiler.plan import Plan, PrerequisitePlan
from prerl_spec.compiler.resolve.resolved import Built
from prerl_spec.errors import Diagnostic, EnvironmentUnmet
from prerl_spec.registry.component import Component
from prerl_spec.registry.entry_points import PluginFault
from prerl_spec.registry.plugin_contract import blame_plugin


def refusals(used: Iterable[tuple[str, Built]]) -> Iterator[PrerequisitePlan]:
    """Of every component, given with its path. Raises EnvironmentUnmet (E0305) for a plugin's that fails to say so."""
    for path, built in used:
        yield from _of_component(path, built.component, built.use, built.distribution)


def mistakes(used: Iterable[tuple[str, Built]]) -> Iterator[Diagnostic]:
    """Of every component, given with its path; a diagnostic has a path, and no place yet. Raises as `refusals` does."""
    for path, built in used:
        with _told_as_unmet(), blame_plugin(built.use, built.distribution, built.component):
            found = list(built.component.mistakes())
        for one in found:
            yield Diagnostic(one.code, one.message, path=f"{path}.{one.setting}", help=one.help)


def refusals_now(plan: Plan) -> Iterator[PrerequisitePlan]:
    """The same of a plan, which may have been made earlier or elsewhere. Raises EnvironmentUnmet, Drift."""
    registry = registry_of(plan)
    parts = (*plan.components(), *(data.component for data in plan.data.values()))
    paths = _paths(plan.prerequisites)
    found: dict[tuple[str, str], PrerequisitePlan] = {}
    for part in parts:
        component = rebuild_component(part, registry)
        for need in _of_component(part.use, component, part.use, part.distribution):
            known = paths.get((need.what, need.name), need.by)
            found[need.what, need.name] = PrerequisitePlan(
                need.what, need.name, None, known, False, need.found, need.hint
            )
    yield from found.values()


def _paths(planned: Sequence[PrerequisitePlan]) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Where the spec writes what was refused when the plan was made."""
    return {(need.what, need.name): need.by for need in planned if is_refusal(need)}


def _of_component(path: str, component: Component, use: str, distribution: str) -> Iterator[PrerequisitePlan]:
    with _told_as_unmet(), blame_plugin(use, distribution, component):
        found = list(component.refusals())
    for one in found:
        yield PrerequisitePlan(one.what, one.name, None, (path,), False, one.found, one.hint)


@contextmanager
def _told_as_unmet() -> Iterator[None]:
    try:
        yield
    except PluginFault as fault:
        raise EnvironmentUnmet(f"{fault.code}: {fault.message}", hint=fault.help) from fault
