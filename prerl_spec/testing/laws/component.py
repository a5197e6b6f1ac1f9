"""The laws of every component, independent of its kind."""

import json

from pydantic import ValidationError

from prerl_spec.registry.component import API, Component
from prerl_spec.testing.laws.broken import LawBroken, LawsBroken


def check_component(component: Component) -> None:
    """Settings are JSON, have descriptions, survive a round trip, and unknown ones are rejected."""
    cls = type(component)
    assert cls.api == API, f"{cls.__name__} is written for component API {cls.api}, not {API}"
    settings = component.settings()
    assert json.loads(json.dumps(settings)) == settings, (
        f"{cls.__name__}.settings() changes in a round trip through JSON"
    )
    try:
        cls.model_validate({"no_such_setting": 1})
    except ValidationError as error:
        refused = [e["loc"] for e in error.errors() if e["type"] == "extra_forbidden"]
        assert refused == [("no_such_setting",)], f"{cls.__name__} does not reject unknown settings"
    else:
        raise AssertionError(f"{cls.__name__} accepts unknown settings")
    for ports in (component.consumes(), component.provides()):
        assert isinstance(ports, frozenset), f"{cls.__name__}: ports are a frozenset of names"
    _check_described(cls)


def _check_described(cls: type[Component]) -> None:
    """Raises LawBroken, or LawsBroken, for a missing docstring and for each setting without a description."""
    lacks: list[Exception] = []
    if not cls.__doc__:
        message, more = f"{cls.__name__} has no docstring", "its first line says what it computes, with the formula"
        lacks.append(LawBroken(f"{message}: `components show` prints its first line", help=more, about="page"))
    for name, field in cls.model_fields.items():
        if not field.description:
            message, more = f"{cls.__name__}.{name} has no description", 'Field(DEFAULT, description="…")'
            lacks.append(LawBroken(f"{message}: `components show` prints it", help=more, about="page"))
    if lacks:
        raise lacks[0] if len(lacks) == 1 else LawsBroken(lacks)
