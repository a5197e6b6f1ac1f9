"""The page of `components show`: what a component is for, its formula, point, source, cost and peers, and its settings."""

import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from prerl_spec.cli.authors.component_costs import SLOTS, cost_lines
from prerl_spec.compiler.planning.points import point_text
from prerl_spec.registry.component import Component, Slot
from prerl_spec.registry.settings import settings_of
from prerl_spec.testing.conformance.branches import Unguessable, example_settings

WIDTH = 100
_LABEL = 9


def component_page(cls: type[Component]) -> Iterator[str]:
    """The lines of the page, without the heading."""
    if cls.__doc__:
        yield "\n" + textwrap.indent(inspect.cleandoc(cls.__doc__), "  ")
    built = _example(cls)
    facts = list(_facts(cls, built))
    if facts:
        yield ""
        yield from facts
    yield "\nsettings"
    yield from _settings(cls)
    if built is not None and not _required(cls):
        yield from _declared(built)


def component_record(cls: type[Component]) -> dict[str, Any]:
    """The page for programs: description, formula, source, peers, and each setting."""
    return {
        "description": inspect.cleandoc(cls.__doc__ or ""),
        "formula": cls.formula,
        "source": cls.source,
        "peers": dict(cls.peers),
        "settings": [
            {
                "name": key,
                "wanted": setting.wanted,
                "required": setting.required,
                "default": None if setting.required else _plain(setting.default),
                "description": cls.model_fields[setting.attribute].description or "",
            }
            for key, setting in settings_of(cls).items()
        ],
    }


def _plain(value: Any) -> Any:
    """A default in JSON types; a component by its class."""
    if isinstance(value, Component):
        return type(value).__name__
    return list(value) if isinstance(value, tuple) else value


def _facts(cls: type[Component], built: Component | None) -> Iterator[str]:
    """Formula, point, source, cost, what peers call it, and where its defaults differ."""
    yield from _fact("formula", [cls.formula])
    if built is not None:
        yield from _fact(*_expansion(cls, built))
    yield from _fact("source", [cls.source])
    if built is not None and built.kind in ("objective", *SLOTS):
        yield from _fact("cost", list(cost_lines(built)))
    yield from _fact("peers", [f"{peer}: {name}" for peer, name in cls.peers.items()])
    yield from _fact("differs", list(cls.unlike.values()))


def _fact(label: str, texts: list[str]) -> Iterator[str]:
    for text in filter(None, texts):
        indent = " " * (_LABEL + 1)
        first = f"{label:<{_LABEL}} " if label else indent
        yield textwrap.fill(
            text,
            WIDTH,
            initial_indent=first,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        label = ""


def _expansion(cls: type[Component], built: Component) -> tuple[str, list[str]]:
    """What its settings stand for: a point of the policy-gradient product, or words of its own."""
    expansion = dict(built.expansion())
    if "surrogate" not in expansion:
        return "means", [", ".join(f"{name} = {value}" for name, value in expansion.items())]
    for name in _required(cls) & expansion.keys():
        slot = settings_of(cls)[name].slot
        expansion[name] = f"<{slot.kind if slot is not None else name}>"
    return "point", [point_text(expansion)]


def _example(cls: type[Component]) -> Component | None:
    """The component with its default settings, and examples of the required ones; None if none can be guessed."""
    try:
        return cls.model_validate(example_settings(cls))
    except (Unguessable, ValidationError):
        return None


def _required(cls: type[Component]) -> set[str]:
    return {key for key, setting in settings_of(cls).items() if setting.required}


def _settings(cls: type[Component]) -> Iterator[str]:
    """One block per setting: name, type, default and description."""
    schema = cls.model_json_schema(mode="validation", by_alias=True)
    if not schema.get("properties"):
        yield "  none"
    for key, setting in settings_of(cls).items():
        property_ = schema["properties"][key]
        default = "required" if setting.required else f"= {_default(setting.default, setting.slot)}"
        yield f"  {key:<18} {_type(property_, schema, setting.slot):<28} {default}"
        if "description" in property_:
            yield textwrap.fill(property_["description"], WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _type(schema: dict[str, Any], root: dict[str, Any], slot: Slot | None) -> str:
    """A short rendering of a JSON schema: `"a" | "b"`, `number > 0 | a ramp`, `list of string`."""
    if "$ref" in schema:
        return _type(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, slot)
    if "const" in schema or "enum" in schema:
        return " | ".join(_toml(v) for v in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(s, root, slot) for s in schema["anyOf"] if s.get("type") != "null"))
    if "prefixItems" in schema:
        return "[" + ", ".join(_type(s, root, slot) for s in schema["prefixItems"]) + "]"
    kind = schema.get("type", "any")
    if kind == "array" and slot is not None:
        return f"list of {slot.kind}s"
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), root, slot)}"
    if kind == "object":
        is_component = schema.get("title") == "Component" and slot is not None
        return _with_article(slot.kind) if is_component and slot is not None else "table"
    signs = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    bounds = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return " ".join([kind, ", ".join(bounds)]).strip()


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _default(value: object, slot: Slot | None) -> str:
    """A default as TOML would write it; that of a slot by its component's name."""
    if isinstance(value, Component):
        written = slot.default if slot is not None else None
        return written or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(value).__name__).lower()
    return _toml(value)


def _toml(value: object) -> str:
    return "unwritten" if value is None else json.dumps(value, ensure_ascii=False)


def _declared(built: Component) -> Iterator[str]:
    """Ports and prerequisites under the default settings."""
    yield from _fact("consumes", [", ".join(sorted(built.consumes()))])
    yield from _fact("provides", [", ".join(sorted(built.provides()))])
    yield from _fact("needs", [", ".join(f"{r.what} {r.name} ({r.hint})" for r in built.prerequisites())])
