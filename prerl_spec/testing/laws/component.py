"""The laws of every component, independent of its kind."""

import json

from pydantic import ValidationError

from prerl_spec.registry.component import API, Component
from prerl_spec.testing.laws.broken import require


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
    bare = [name for name, field in cls.model_fields.items() if not field.description]
    lacks = [] if cls.__doc__ else [f"{cls.__name__} has no docstring"]
    lacks += [f"{cls.__name__}.{name} has no description" for name in bare]
    require(
        not lacks,
        f"{'; '.join(lacks)}: `components show` prints them",
        help='a line in """quotes""" under the class; for a setting, Field(DEFAULT, description="…")',
    )
