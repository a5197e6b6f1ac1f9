"""Checks what a plugin's component declares: any failure in it is reported as the plugin's fault, with its cause."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_args

from prerl_spec.codes import Code
from prerl_spec.needs import Teacher
from prerl_spec.registry.component import Component, Conflict, Fact, Prerequisite, Wiring
from prerl_spec.registry.component_state import initial_states
from prerl_spec.registry.entry_points import OWN_DISTRIBUTION, PluginFault, cause_of, normalized
from prerl_spec.registry.nested_components import teachers_in


def check_declared_types(component: Component, name: str, distribution: str) -> None:
    """Calls once everything that the compiler will call. Raises PluginFault (E0305); errors of built-ins propagate."""
    with blame_plugin(name, distribution):
        for ports in (component.consumes, component.provides):
            _expect(ports, frozenset, str)
        _expect(component.prerequisites, tuple, Prerequisite)
        expansion = component.expansion()
        are_words = isinstance(expansion, Mapping) and all(isinstance(w, str) for one in expansion.items() for w in one)
        assert are_words, f"expansion() returns {expansion!r}, not a mapping of words to words"
        for fact in get_args(Fact):
            setting = component.setting_behind(fact)
            assert isinstance(setting, str), f"setting_behind({fact!r}) returns {setting!r}, not a string"
        if component.kind == "objective":
            objective: Any = component
            assert not objective.uses_rollouts or objective.min_group >= 1, f"min_group is {objective.min_group}"
            for part in objective.parts():
                _expect(part.needs, frozenset, tuple)
                _expect(part.reads, frozenset, tuple)
                assert all(n.of != "policy" for n in part.reads()), "reads() names a Need of the policy; `old` is known"
                named = {n.of for n in (*part.needs(), *part.reads()) if isinstance(n.of, Teacher)}
                assert named <= teachers_in(part).keys(), "a Need names a Teacher that is in none of its slots"
            initial_states(objective)
        elif component.kind in ("advantage", "selection") and hasattr(component, "reads"):
            # Here, or an objective of our own that asks its part would have the fault.
            _expect(component.reads, frozenset, tuple)


def conflicts(component: Component, wiring: Wiring, name: str, distribution: str) -> list[Conflict]:
    """The rules that the component finds broken. Raises PluginFault (E0305) if `check` fails; errors of built-ins propagate."""
    with blame_plugin(name, distribution):
        found = list(component.check(wiring))
        for conflict in found:
            assert isinstance(conflict, Conflict), f"check() returns {conflict!r}, not a Conflict"
            assert conflict.code in (Code.CONTRADICTION, Code.NO_EFFECT), f"check() returns the code {conflict.code!r}"
    return found


@contextmanager
def blame_plugin(name: str, distribution: str) -> Iterator[None]:
    """Turns any exception inside into a PluginFault (E0305), except for built-ins: there it is a bug of prerl-spec."""
    if normalized(distribution) == OWN_DISTRIBUTION:
        yield
        return
    try:
        yield
    except Exception as error:  # plugin code may raise anything
        message = f"`{name}` of {distribution} breaks the component contract"
        raise PluginFault(Code.PLUGIN_DECLARATION, message, help=f"cause: {cause_of(error)}") from error


def _expect(method: Callable[[], Any], container: type, item: type) -> None:
    returned = method()
    is_right = isinstance(returned, frozenset | tuple) and isinstance(returned, container)
    is_right = is_right and all(isinstance(one, item) for one in returned)
    assert is_right, f"{method.__name__}() returns {returned!r}, not a {container.__name__} of {item.__name__}"
