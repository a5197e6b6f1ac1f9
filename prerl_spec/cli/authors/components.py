"""`components list` lists installed components from metadata alone; `components show NAME` describes all of a name in full."""

import argparse
import inspect
import json
import textwrap
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from prerl_spec.registry.kind_names import KINDS

if TYPE_CHECKING:
    from prerl_spec.registry.component import Component
    from prerl_spec.registry.entry_points import Entry, Registry

WIDTH = 100


def add(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|show")
    listing = actions.add_parser("list", help="list every component by kind, without importing any")
    listing.add_argument("--kind", choices=KINDS, metavar="KIND", help=f"one of: {', '.join(KINDS)}")
    listing.add_argument("--json", action="store_true", help="print a JSON array")
    showing = actions.add_parser(
        "show", help="describe every component of one name: purpose, settings, ports and prerequisites"
    )
    showing.add_argument("name", metavar="NAME", help="name of the component")
    showing.add_argument(
        "--kind", choices=KINDS, metavar="KIND", help="one kind only, where several components share the name"
    )


def run(arguments: argparse.Namespace) -> int:
    from prerl_spec.registry.entry_points import installed

    registry = installed()
    if arguments.action == "list":
        _list(registry, arguments.kind, as_json=arguments.json)
    else:
        _show(registry, arguments.name, arguments.kind)
    return 0


def _list(registry: "Registry", only: str | None, *, as_json: bool) -> None:
    entries = [e for e in registry.entries if not e.is_foreign_bare and only in (None, e.kind)]
    entries.sort(key=lambda e: (KINDS.index(e.kind), not e.is_own))
    if as_json:
        rows = [
            {"kind": e.kind, "name": e.name, "distribution": e.distribution, "version": e.distribution_version}
            for e in entries
        ]
        print(json.dumps(rows, indent=2))
        return
    width = max((len(e.kind) for e in entries), default=0)
    for kind in dict.fromkeys(e.kind for e in entries):
        names = [e.name if e.is_own else f"{e.name} ({e.distribution})" for e in entries if e.kind == kind]
        print(f"{kind:<{width}}  {', '.join(names)}")


def _show(registry: "Registry", name: str, kind: str | None) -> None:
    from prerl_spec.errors import EnvironmentUnmet
    from prerl_spec.registry.entry_points import PluginFault, load

    for number, entry in enumerate(_find(registry, name, kind)):
        try:
            component = load(entry)
        except PluginFault as fault:
            raise EnvironmentUnmet(fault.message, hint=fault.help) from fault
        whole = f"{entry.name}: {entry.kind} of {entry.distribution} {entry.distribution_version}"
        print(f"{chr(10) if number else ''}{whole}, version {component.version}")
        if component.__doc__:
            print("\n" + textwrap.indent(inspect.cleandoc(component.__doc__), "  "))
        print("\nsettings")
        for line in _settings(component):
            print(line)
        for heading, lines in _declared(component).items():
            print(f"{heading:<9} {', '.join(lines)}")


def _find(registry: "Registry", name: str, kind: str | None) -> "list[Entry]":
    """Every component of this name, in the order of the kinds: a name may serve in several. Raises UsageError for none."""
    from prerl_spec.errors import UsageError

    found = [e for e in registry.entries if e.name == name and not e.is_foreign_bare and kind in (None, e.kind)]
    if found:
        return sorted(found, key=lambda e: (KINDS.index(e.kind), not e.is_own))
    names = sorted({e.name for e in registry.entries if not e.is_foreign_bare and kind in (None, e.kind)})
    near = get_close_matches(name, names, n=1)
    raise UsageError(
        f"no {kind or 'component'} named `{name}` is installed",
        hint=f"did you mean `{near[0]}`?" if near else "`prerl-spec components list` shows every installed component",
    )


def _settings(component: "type[Component]") -> Iterator[str]:
    """One block per setting: name, type, default and description."""
    schema = component.model_json_schema(mode="validation", by_alias=True)
    required = set(schema.get("required", ()))
    if not schema.get("properties"):
        yield "  none"
    for name, property_ in schema.get("properties", {}).items():
        field = component.model_fields[name]
        default = "required" if name in required else f"= {_toml(field.get_default(call_default_factory=True))}"
        yield f"  {name:<18} {_type(property_, schema):<28} {default}"
        if "description" in property_:
            yield textwrap.fill(property_["description"], WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _type(schema: dict[str, Any], root: dict[str, Any]) -> str:
    """A short rendering of a JSON schema: `"a" | "b"`, `number > 0`, `list of string`."""
    if "$ref" in schema:
        return _type(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "const" in schema or "enum" in schema:
        return " | ".join(_toml(v) for v in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(s, root) for s in schema["anyOf"] if s.get("type") != "null"))
    if "prefixItems" in schema:
        return "[" + ", ".join(_type(s, root) for s in schema["prefixItems"]) + "]"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), root)}"
    if kind == "object":
        return "component" if schema.get("title") == "Component" else "table"
    signs = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    bounds = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return " ".join([kind, ", ".join(bounds)]).strip()


def _toml(value: object) -> str:
    return "unwritten" if value is None else json.dumps(value, ensure_ascii=False)


def _declared(component: "type[Component]") -> dict[str, list[str]]:
    """Ports and prerequisites under the default settings; empty for a component with required settings."""
    from pydantic import ValidationError

    try:
        built = component()
    except ValidationError:
        return {}
    declared = {
        "consumes": sorted(built.consumes()),
        "provides": sorted(built.provides()),
        "needs": [f"{r.what} {r.name} ({r.hint})" for r in built.prerequisites()],
    }
    return {heading: lines for heading, lines in declared.items() if lines}
