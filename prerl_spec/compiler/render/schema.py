"""The JSON Schema (draft-07) of the spec language and all installed components, for completion and checks in editors.

A schema sees one file. A file with `extends`, or without `spec` (a parent, an overlay), may omit keys that another file
defines: there no key is required, and a table without `use` may hold any setting. References and names of `local.`
components cannot be resolved. Everything else is as strict as `validate`.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from prerl_spec.compiler.render.json_schema_draft07 import (
    CLOSED,
    REFERENCE,
    REFERENCE_SCHEMA,
    Schema,
    described,
    pointer,
    written,
)
from prerl_spec.language.spec import LANGUAGE_VERSION, Spec
from prerl_spec.registry.component import Component, Kind
from prerl_spec.registry.entry_points import PluginFault, Registry, load
from prerl_spec.registry.settings import Setting, settings_of

BEFORE_REFERENCES = frozenset({"spec", "extends", "unset", "requires", "vars"})
"""Top-level keys that are read before interpolation, or that may hold any value."""
LOCAL = r"^local\.[a-z][a-z0-9_]*(@[1-9][0-9]*)?$"


def spec_schema(registry: Registry) -> tuple[Schema, tuple[PluginFault, ...]]:
    """The schema, and the faults of plugins that cannot be imported, whose settings are unrestricted."""
    writer = _Writer(registry)
    root = writer.table(Spec)
    root["properties"]["spec"] |= {"enum": [LANGUAGE_VERSION]}
    whole = writer.whole_table(Spec)
    whole["if"], whole["else"] = {"required": ["phases"]}, {"required": ["evaluate"]}
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "prerl-spec",
        "description": f"A spec of prerl-spec, language version {LANGUAGE_VERSION}.",
        **root,
        "if": {"required": ["spec"], "not": {"required": ["extends"]}},
        "then": whole,
        "definitions": {REFERENCE: REFERENCE_SCHEMA, **dict(sorted(writer.definitions.items()))},
    }
    return schema, tuple(writer.faults)


class _Writer:
    """Writes each definition at its first reference: components may contain components of the same kind."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.definitions: dict[str, Schema] = {}
        self.faults: list[PluginFault] = []
        self._loaded: dict[tuple[Kind, str], type[Component] | None] = {}

    # --- written keys: every key known, every value valid --------------------------------------------------------

    def table(self, model: type[BaseModel]) -> Schema:
        """A core table, without additional properties."""
        pydantic = model.model_json_schema(by_alias=True)["properties"]
        properties = {key: self._property(setting, pydantic[key], "") for key, setting in settings_of(model).items()}
        return {"type": "object", "additionalProperties": CLOSED, "properties": properties}

    def _property(self, setting: Setting, pydantic: dict[str, Any], home: str) -> Schema:
        words = {"description": pydantic.get("description")}
        if setting.slot is not None:
            one = _or_value(setting, pointer(self._component(setting.slot.kind)), pydantic, home)
            return described(_in_form(setting, one), **words)
        if setting.section is not None:
            return described(_in_form(setting, pointer(self._section(setting.section))), **words)
        if not home and setting.key in BEFORE_REFERENCES:
            return {key: value for key, value in pydantic.items() if key != "title"}
        return written(pydantic, home or "core")

    def _section(self, model: type[BaseModel]) -> str:
        name = f"table.{model.__name__.removesuffix('Spec').lower()}"
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self.table(model)
        return name

    def _component(self, kind: Kind) -> str:
        """A component of the kind: its name alone, or a table with `use`, which determines the settings."""
        if kind not in self.definitions:
            self.definitions[kind] = {}
            self.definitions[f"{kind}.name"] = self._name(kind)
            rules = [
                {"if": self._is(kind, name), "then": pointer(self._settings(kind, name, component))}
                for name, component in self._components(kind)
            ]
            self.definitions[kind] = {
                "description": f"A component of kind {kind}: its name, or a table with `use` and its settings.",
                "type": ["string", "object"],
                "if": {"type": "string"},
                "then": pointer(f"{kind}.name"),
                "else": _without_empty({"properties": {"use": pointer(f"{kind}.name")}, "allOf": rules}),
            }
        return kind

    def _name(self, kind: Kind) -> Schema:
        names = self.registry.names(kind)
        pinned = [word for name in names for word in self._words(kind, name) if word != name]
        is_local = {"type": "string", "pattern": LOCAL}
        words = f"Name of an installed {kind}, or of one in `[plugins] files` (local.NAME)."
        return {"description": words, "if": is_local, "then": {}, "else": {"enum": [*names, *pinned]}}

    def _settings(self, kind: Kind, name: str, component: type[Component]) -> str:
        """The table of one component, without additional properties."""
        key = f"{kind}.{name}"
        if key not in self.definitions:
            self.definitions[key] = {}
            pydantic = component.model_json_schema(by_alias=True)
            for inner, schema in pydantic.get("$defs", {}).items():
                if inner != Component.__name__:
                    self.definitions[f"{key}.{inner}"] = written(schema, key)
            own = {k: self._property(s, pydantic["properties"][k], key) for k, s in settings_of(component).items()}
            origin = {"type": "string", "description": "Distribution that provides it; settles a collision of names."}
            self.definitions[key] = {
                "description": " ".join((component.__doc__ or key).split("\n\n")[0].split()),
                "type": "object",
                "additionalProperties": CLOSED,
                "properties": {"use": pointer(f"{kind}.name"), "from": origin, **own},
            }
        return key

    # --- required keys: in a self-contained file -------------------------------------------------------------------

    def whole_table(self, model: type[BaseModel]) -> Schema:
        """The required keys of a core table and of its nested tables."""
        settings = settings_of(model).values()
        properties: dict[str, Schema] = {}
        for setting in settings:
            if setting.slot is not None:
                properties[setting.key] = _in_form(setting, pointer(self._whole_component(setting.slot.kind)))
            elif setting.section is not None:
                inner = self.whole_table(setting.section)
                properties[setting.key] = _in_form(setting, inner)
        return _without_empty({"required": [s.key for s in settings if s.required], "properties": properties})

    def _whole_component(self, kind: Kind) -> str:
        name = f"whole.{kind}"
        if name not in self.definitions:
            self.definitions[name] = {}
            rules = [
                {"if": self._is(kind, use), "then": self._whole_settings(component)}
                for use, component in self._components(kind)
            ]
            table = {"required": ["use"], "allOf": [r for r in rules if r["then"]]}
            self.definitions[name] = {"if": {"type": "object"}, "then": _without_empty(table)}
        return name

    def _whole_settings(self, component: type[Component]) -> Schema:
        settings = settings_of(component).values()
        slots = {
            s.key: _in_form(s, pointer(self._whole_component(s.slot.kind))) for s in settings if s.slot is not None
        }
        return _without_empty({"required": [s.key for s in settings if s.required], "properties": slots})

    # --- installed components --------------------------------------------------------------------------------------

    def _is(self, kind: Kind, name: str) -> Schema:
        return {"properties": {"use": {"enum": self._words(kind, name)}}, "required": ["use"]}

    def _words(self, kind: Kind, name: str) -> list[str]:
        """The name, and the name with its behaviour version."""
        component = self._class(kind, name)
        return [name] if component is None else [name, f"{name}@{component.version}"]

    def _components(self, kind: Kind) -> Iterator[tuple[str, type[Component]]]:
        for name in self.registry.names(kind):
            component = self._class(kind, name)
            if component is not None:
                yield name, component

    def _class(self, kind: Kind, name: str) -> type[Component] | None:
        """The component class; None if several distributions provide the name, or on an import fault."""
        if (kind, name) not in self._loaded:
            entries = self.registry.providers(kind, name)
            try:
                self._loaded[kind, name] = load(entries[0]) if len(entries) == 1 else None
            except PluginFault as fault:
                self.faults.append(fault)
                self._loaded[kind, name] = None
        return self._loaded[kind, name]


def _or_value(setting: Setting, component: Schema, pydantic: dict[str, Any], home: str) -> Schema:
    """The schema of a slot that may hold a value in place of a component: a number beside a table, a word beside a name."""
    if not setting.takes_value:
        return component
    if setting.takes_number:
        number = next(one for one in pydantic["anyOf"] if one.get("type") in ("number", "integer"))
        return {"if": {"type": "object"}, "then": component, "else": written(number, home or "core")}
    return {"if": {"enum": list(setting.choices)}, "then": {}, "else": component}


def _in_form(setting: Setting, one: Schema) -> Schema:
    """The schema for the form of the key: one value, a list, or a table of named values."""
    if setting.named:
        return {"type": "object", "additionalProperties": one}
    if setting.slot.many if setting.slot is not None else setting.takes_list:
        return {"type": "array", "items": one}
    return one


def _without_empty(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if value}
