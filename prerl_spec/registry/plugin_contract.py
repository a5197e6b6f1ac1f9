"""Checks what a plugin's component declares: any failure in it is reported as the plugin's fault, with its cause."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, cast, get_args

from prerl_spec.codes import Code
from prerl_spec.errors import PrerlError
from prerl_spec.needs import Teacher, View
from prerl_spec.registry.author_code import authored_in, definition, frame_of_authors
from prerl_spec.registry.component import Component, Conflict, Fact, Prerequisite, Wiring
from prerl_spec.registry.component_state import initial_states
from prerl_spec.registry.entry_points import OWN_DISTRIBUTION, PluginFault, cause_of, name_of, normalized
from prerl_spec.registry.kind_protocols import missing_members
from prerl_spec.registry.kinds.judging import declared_environment, declares_network
from prerl_spec.registry.kinds.stateful import Stateful
from prerl_spec.registry.nested_components import teachers_in

STATELESS = ("surrogate", "correction", "ramp")
"""Kinds in an objective's slots that are called without a batch: a state would never be seen."""


def check_declared_types(component: Component, name: str, distribution: str, view: View | None = None) -> None:
    """Calls once everything that the compiler will call. Raises PluginFault (E0305); errors of built-ins propagate.

    A surrogate is asked for what it needs in `view`, if one is given."""
    with blame_plugin(name, distribution, component):
        for ports in (component.consumes, component.provides):
            _expect(ports, frozenset, str)
        _expect(component.prerequisites, tuple, Prerequisite)
        expansion = component.expansion()
        are_words = isinstance(expansion, Mapping) and all(isinstance(w, str) for one in expansion.items() for w in one)
        assert are_words, f"expansion() returns {expansion!r}, not a mapping of words to words"
        for fact in get_args(Fact):
            setting = component.setting_behind(fact)
            assert isinstance(setting, str), f"setting_behind({fact!r}) returns {setting!r}, not a string"
        _check_slot_kind(component, view)
        if component.kind == "verifier":
            declared_environment(component)
            declares_network(component)
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


def conflicts(component: Component, wiring: Wiring, name: str, distribution: str) -> list[Conflict]:
    """The rules that the component finds broken. Raises PluginFault (E0305) if `check` fails; errors of built-ins propagate."""
    with blame_plugin(name, distribution, component):
        found = list(component.check(wiring))
        for conflict in found:
            assert isinstance(conflict, Conflict), f"check() returns {conflict!r}, not a Conflict"
            assert conflict.code in (Code.CONTRADICTION, Code.NO_EFFECT), f"check() returns the code {conflict.code!r}"
    return found


@contextmanager
def blame_plugin(name: str, distribution: str, component: object = None) -> Iterator[None]:
    """Turns any exception inside into a PluginFault (E0305), with its cause and, of a component, the author's line.

    A built-in component fails in the name of an author's that is in one of its slots; without one, it is a bug of
    prerl-spec, and propagates.
    """
    authored = authored_in(component)
    is_own = normalized(distribution) == OWN_DISTRIBUTION
    if is_own and not authored:
        yield
        return
    try:
        yield
    except Exception as error:  # plugin code may raise anything
        message = f"`{name_of(authored[0]) or authored[0].__name__}`" if is_own else f"`{name}` of {distribution}"
        place = (frame_of_authors(error, authored) or definition(authored[0])) if authored else None
        where = "" if place is None else f", in `{place.function}` ({place.where})"
        raise PluginFault(
            Code.PLUGIN_DECLARATION, f"{message} breaks the component contract", help=f"cause: {cause_of(error)}{where}"
        ) from error


@contextmanager
def blame_author(component: object) -> Iterator[None]:
    """`blame_plugin` where only the component is known, not its entry; errors that it raises on purpose propagate."""
    try:
        with blame_plugin(type(component).__name__, OWN_DISTRIBUTION, component):
            yield
    except PluginFault as fault:
        if isinstance(fault.__cause__, PrerlError):
            raise fault.__cause__ from None
        raise


def _check_slot_kind(component: Any, view: View | None) -> None:
    """What the compiler, or the objective around it, reads of a component in an objective's slot."""
    kind = component.kind
    if kind in ("advantage", "selection") and hasattr(component, "reads"):
        _expect(component.reads, frozenset, tuple)
        assert all(n.of != "policy" for n in component.reads()), "reads() names a Need of the policy; `old` is known"
    if missing_members(component):  # told by a plan, in the words of a run
        return
    if kind == "advantage":
        _expect_one_of(component, "per", ("sample", "token"))
        _expect_one_of(component, "sign", ("both", "positive", "negative"))
        assert component.min_group >= 1, f"min_group is {component.min_group}"
    elif kind == "surrogate":
        assert isinstance(component.uses_ratio, bool), f"uses_ratio is {component.uses_ratio!r}, not a bool"
        if view is not None:
            _expect(partial(component.needs, view), frozenset, tuple)
        by_sign = getattr(component, "settings_by_sign", {})
        named = {*getattr(component, "ratio_settings", ()), *(name for names in by_sign.values() for name in names)}
        unknown = named - type(component).model_fields.keys()
        assert not unknown, f"ratio_settings or settings_by_sign name no settings: {', '.join(sorted(unknown))}"
    elif kind == "selection":
        assert isinstance(component.in_denominator, bool), f"in_denominator is {component.in_denominator!r}, not a bool"
    if kind in STATELESS:
        has_state = isinstance(component, Stateful)
        assert not has_state, f"a {kind} has no state; only objectives, advantages and selections can have a state"


def _expect_one_of(component: Any, name: str, words: tuple[str, ...]) -> None:
    value = getattr(component, name)
    assert value in words, f"{name} is {value!r}, not one of {', '.join(words)}"


def _expect(method: Callable[[], Any], container: type, item: type) -> None:
    returned = method()
    is_right = isinstance(returned, frozenset | tuple) and isinstance(returned, container)
    is_right = is_right and all(isinstance(one, item) for one in returned)
    name = getattr(method, "__name__", None) or cast(Any, method).func.__name__
    assert is_right, f"{name}() returns {returned!r}, not a {container.__name__} of {item.__name__}"
