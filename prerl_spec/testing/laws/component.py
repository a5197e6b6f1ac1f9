"""The laws of every component, independent of its kind."""

import json

from pydantic import ValidationError

from prerl_spec.registry.component import API, Component


def check_component(component: Component) -> None:
    """Settings are JSON, have descriptions, survive a round trip, and unknown ones are rejected."""
    cls = type(component)
    assert cls.__doc__, f"{cls.__name__} has no docstring: `components show` prints its first line"
    assert cls.api == API, f"{cls.__name__} is written for component API {cls.api}, not {API}"
    for name, field in cls.model_fields.items():
        assert field.description, f"{cls.__name__}.{name} has no description"
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
