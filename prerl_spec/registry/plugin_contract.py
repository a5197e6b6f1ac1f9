"""What a stranger's component answers when it is asked: whatever fails in it is its own fault, told with its own cause."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

from prerl_spec.codes import Code
from prerl_spec.registry.component import Component, Conflict, Fact, Prerequisite, Wiring
from prerl_spec.registry.entry_points import OWN_DISTRIBUTION, PluginFault, cause_of, normalized


def check_declared_types(component: Component, name: str, distribution: str) -> None:
    """Asks once what the compiler is going to ask of it. Raises PluginFault (E0305); a fault of our own passes."""
    with blame_plugin(name, distribution):
        for ports in (component.consumes, component.provides):
            _expect(ports, frozenset, str)
        _expect(component.prerequisites, tuple, Prerequisite)
        for fact in get_args(Fact):
            setting = component.setting_behind(fact)
            assert isinstance(setting, str), f"setting_behind({fact!r}) gives {setting!r}, not a text"
        if component.kind == "objective":
            objective: Any = component
            assert not objective.uses_rollouts or objective.min_group >= 1, f"min_group is {objective.min_group}"
            for part in objective.parts():
                _expect(part.needs, frozenset, tuple)
                _expect(part.reads, frozenset, tuple)
                assert all(n.of != "policy" for n in part.reads()), "reads() names a Need of the policy; `old` is known"


def conflicts(component: Component, wiring: Wiring, name: str, distribution: str) -> list[Conflict]:
    """Its broken rules. Raises PluginFault (E0305) where it cannot say them; a fault of our own passes."""
    with blame_plugin(name, distribution):
        found = list(component.check(wiring))
        for conflict in found:
            assert isinstance(conflict, Conflict), f"check() gives {conflict!r}, not a Conflict"
            assert conflict.code in (Code.CONTRADICTION, Code.NO_EFFECT), f"check() gives the code {conflict.code!r}"
    return found


@contextmanager
def blame_plugin(name: str, distribution: str) -> Iterator[None]:
    """Whatever is raised inside is a PluginFault (E0305), unless the component is a built-in: then it is a bug of ours."""
    if normalized(distribution) == OWN_DISTRIBUTION:
        yield
        return
    try:
        yield
    except Exception as error:  # a stranger's code may raise anything
        message = f"`{name}` of {distribution} does not answer what every component is asked"
        raise PluginFault(Code.PLUGIN_DECLARATION, message, help=f"its own cause: {cause_of(error)}") from error


def _expect(ask: Callable[[], Any], container: type, item: type) -> None:
    answer = ask()
    is_right = isinstance(answer, frozenset | tuple) and isinstance(answer, container)
    is_right = is_right and all(isinstance(one, item) for one in answer)
    assert is_right, f"{ask.__name__}() gives {answer!r}, not a {container.__name__} of {item.__name__}"
