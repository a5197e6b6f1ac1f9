"""A setting's JSON Schema as pydantic writes it, turned into draft-07 of what a spec may write in its place.

Three things change: null goes (TOML has none), `"${...}"` may stand for a value, and alternatives are told apart by their
type (`if/then`), so that an editor marks the value with the rule that it breaks and not with a list of all of them.
"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

REFERENCE = "reference"
"""The definition that `written` refers to."""
REFERENCE_SCHEMA: Schema = {
    "description": "A reference: ${vars.lr}, ${env:NAME}, ${env:NAME:-default}.",
    "type": "string",
    "pattern": r"(^|[^$])\$\{",
}
CLOSED: Schema = {"description": "There is no such key.", "allOf": [False]}
"""What `additionalProperties: false` means, said so that editors mark the unknown key and not its whole table."""
_SAID = ("description", "default")


def pointer(name: str) -> Schema:
    """A reference to one of the schema's definitions."""
    return {"$ref": f"#/definitions/{name}"}


def described(schema: Schema, **words: Any) -> Schema:
    """The schema with description and default. Draft-07 ignores whatever stands beside a `$ref`, so one is wrapped."""
    said = {key: value for key, value in words.items() if value is not None}
    if not said:
        return schema
    return {**said, "allOf": [schema]} if "$ref" in schema else {**said, **schema}


def written(schema: Mapping[str, Any], home: str) -> Schema:
    """What a spec may write where pydantic wants `schema`; definitions of its own are found under `home.NAME`."""
    said = {key: schema[key] for key in _SAID if schema.get(key) is not None}
    value = _value({k: v for k, v in schema.items() if k not in (*_SAID, "title")}, home)
    takes_any_text = value in ({}, {"type": "string"})
    return described(value if takes_any_text else {"if": pointer(REFERENCE), "then": {}, "else": value}, **said)


def _value(schema: Mapping[str, Any], home: str) -> Schema:
    if "$ref" in schema:
        return pointer(f"{home}.{schema['$ref'].rsplit('/', 1)[1]}")
    alternatives = schema.get("anyOf", schema.get("oneOf"))
    if alternatives is not None:
        return _union([_value(a, home) for a in alternatives if a.get("type") != "null"])
    value = {key: v for key, v in schema.items() if key not in ("title", "discriminator")}
    for key in ("items", "additionalProperties"):
        if isinstance(value.get(key), dict):
            value[key] = written(value[key], home)
    if value.get("additionalProperties") is False:
        value["additionalProperties"] = CLOSED
    for key in ("properties", "patternProperties"):
        if key in value:
            value[key] = {name: written(inner, home) for name, inner in value[key].items()}
    if "prefixItems" in value:
        value["items"] = [written(item, home) for item in value.pop("prefixItems")]
    return value


def _union(alternatives: list[Schema]) -> Schema:
    """Alternatives of different types become one rule a type; others stay alternatives."""
    types = [a.get("type") for a in alternatives]
    if len(alternatives) == 1:
        return alternatives[0]
    if not all(isinstance(t, str) for t in types) or len(set(types)) < len(types):
        return {"anyOf": alternatives}
    rules = [{"if": {"type": t}, "then": a} for t, a in zip(types, alternatives, strict=True)]
    return {"type": types, "allOf": rules}
