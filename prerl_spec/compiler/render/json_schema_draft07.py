"""Converts a setting's JSON Schema from pydantic to draft-07 for the values that a spec may write.

Three things change: null is removed (TOML has none), `"${...}"` may replace a value, and alternatives are selected by
type (`if/then`), so that an editor reports the violated rule instead of a list of all alternatives.
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
"""`additionalProperties: false` in a form for which editors mark the unknown key, not the whole table."""
_ANNOTATIONS = ("description", "default")


def pointer(name: str) -> Schema:
    """A reference to one of the schema's definitions."""
    return {"$ref": f"#/definitions/{name}"}


def described(schema: Schema, **words: Any) -> Schema:
    """The schema with description and default; a `$ref` is wrapped in `allOf`, as draft-07 ignores its siblings."""
    annotations = {key: value for key, value in words.items() if value is not None}
    if not annotations:
        return schema
    return {**annotations, "allOf": [schema]} if "$ref" in schema else {**annotations, **schema}


def written(schema: Mapping[str, Any], home: str) -> Schema:
    """The schema of values that a spec may write for pydantic's `schema`; its definitions are under `home.NAME`."""
    annotations = {key: schema[key] for key in _ANNOTATIONS if schema.get(key) is not None}
    value = _value({k: v for k, v in schema.items() if k not in (*_ANNOTATIONS, "title")}, home)
    takes_any_text = value in ({}, {"type": "string"})
    return described(value if takes_any_text else {"if": pointer(REFERENCE), "then": {}, "else": value}, **annotations)


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
    """Alternatives of distinct types become one rule per type; others remain `anyOf`."""
    types = [a.get("type") for a in alternatives]
    if len(alternatives) == 1:
        return alternatives[0]
    if not all(isinstance(t, str) for t in types) or len(set(types)) < len(types):
        return {"anyOf": alternatives}
    rules = [{"if": {"type": t}, "then": a} for t, a in zip(types, alternatives, strict=True)]
    return {"type": types, "allOf": rules}
