"""Writes a resolved spec as TOML: the composed values, with each default as a comment.

The text is itself a spec of the same meaning: rules about *written* settings give the same result for it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

from prerl_spec.compiler.planning.component_plan import MASK, is_plain
from prerl_spec.compiler.resolve.resolved import COMPOSED, Built, Resolved
from prerl_spec.language.document import Array, Node, Scalar, Table, join_path, plain
from prerl_spec.registry.settings import settings_of


def resolved_toml(resolved: Resolved) -> str:
    """The whole spec."""
    blocks = list(_table(resolved, resolved.root, "", header=""))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _table(resolved: Resolved, table: Table, path: str, *, header: str) -> Iterator[str]:
    """One block per table: its own keys, then its nested tables."""
    built = resolved.built.get(path)
    lines = [header] if header else []
    if table.short is not None and "use" not in table.entries:
        lines.append(f"use = {toml_value(table.short.value)}")
    inner: list[tuple[str, Table | Array]] = []
    for key, entry in table.entries.items():
        value, where = entry.value, join_path(path, key)
        if where in COMPOSED or (where == "vars" and "study" not in table.entries):
            continue
        if _is_block(resolved, value, where):
            assert isinstance(value, Table | Array)
            inner.append((key, value))
        else:
            lines.append(f"{_key(key)} = {_meant(built, key, value)}")
    if built is not None:
        lines += _defaults(built)
    if lines != [header] or not inner:
        yield "\n".join(lines)
    for key, value in inner:
        where, title = join_path(path, key), join_path(_title(path), key)
        if isinstance(value, Table):
            yield from _table(resolved, value, where, header=f"[{title}]")
        else:
            for number, item in enumerate(value.items):
                assert isinstance(item, Table)
                yield from _table(resolved, item, f"{where}[{number}]", header=f"[[{title}]]")


def _is_block(resolved: Resolved, value: object, path: str) -> bool:
    """Whether the value gets a header: core tables and components do, uninterpreted tables and string lists do not."""
    if isinstance(value, Array):
        return bool(value.items) and all(isinstance(item, Table) for item in value.items)
    if not isinstance(value, Table):
        return False
    owner = next((b for p, b in resolved.built.items() if path.startswith(f"{p}.")), None)
    return owner is None or path in resolved.built


def _meant(built: Built | None, key: str, written: Node) -> str:
    """The value as the component received it: paths are absolute; a secret is its reference, or masked."""
    setting = None if built is None else settings_of(type(built.component)).get(key)
    if setting is not None and setting.is_secret:
        is_reference = isinstance(written, Scalar) and written.reference == "secret"
        return json.dumps(plain(written) if is_reference else MASK)
    if setting is not None and setting.is_path:
        assert built is not None
        return toml_value(getattr(built.component, setting.attribute))
    return toml_value(plain(written))


def _defaults(built: Built) -> Iterator[str]:
    for key, setting in settings_of(type(built.component)).items():
        value = built.component.settings().get(key)
        if key not in built.written and is_plain(setting, built) and value is not None:
            yield f"# {_key(key)} = {toml_value(value)}"
        elif key not in built.written and isinstance(inner := built.slots.get(key), Built):
            yield f"# {_key(key)} = {toml_value(inner.use)}"


def _title(path: str) -> str:
    return re.sub(r"\[\d+\]", "", path)


def _key(key: str) -> str:
    return join_path("", key)


def toml_value(value: Any) -> str:
    """A value in TOML, on one line; text that looks like a reference is escaped."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # DEL is a control character in TOML, not in JSON.
        return json.dumps(value.replace("${", "$${"), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {toml_value(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return repr(value)
