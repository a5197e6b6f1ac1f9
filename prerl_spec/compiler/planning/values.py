"""Lists every value of a resolved spec: as written, as resolved, and its origin.

Not part of the plan's meaning. A secret is masked in both; a default has no written form.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from prerl_spec.compiler.plan import Value
from prerl_spec.compiler.planning.component_plan import MASK, written_out
from prerl_spec.compiler.resolve.resolved import COMPOSED, Built, Resolved
from prerl_spec.errors import Span
from prerl_spec.language.document import Scalar, join_path
from prerl_spec.language.secrets import looks_secret, masked, masked_json
from prerl_spec.language.spec import Spec
from prerl_spec.registry.settings import settings_of

DEFAULT = "default"
ONLY_WRITTEN = frozenset({"run.streams"})
"""Keys that are listed where the spec writes them: plan.json is the same, to the byte, as before there were such keys."""


def values(resolved: Resolved) -> tuple[Value, ...]:
    """All leaves: the keys of the core tables first, then those of each component, defaults included."""
    found = [*_of_section(resolved, resolved.spec, Spec, "")]
    for path, built in resolved.built.items():
        found += _of_component(resolved, path, built)
    return tuple(found)


def _of_section(resolved: Resolved, section: Any, model: type[BaseModel], path: str) -> Iterator[Value]:
    for key, setting in settings_of(model).items():
        where, value = join_path(path, key), getattr(section, setting.attribute)
        if setting.slot is not None or setting.named or where in COMPOSED:
            continue
        if setting.section is None:
            if where not in ONLY_WRITTEN or resolved.is_written(where):
                yield from _leaves(resolved, where, _plain(value))
        elif isinstance(value, tuple):
            for number, item in enumerate(value):
                yield from _of_section(resolved, item, setting.section, join_path(where, number))
        elif value is not None:
            yield from _of_section(resolved, value, setting.section, where)


def _of_component(resolved: Resolved, path: str, built: Built) -> Iterator[Value]:
    """Its name and settings; components in its slots are separate entries of `built`."""
    short = path if isinstance(resolved.node(path), Scalar) else None
    yield _value(resolved, join_path(path, "use"), built.use, written_at=short)
    planned = written_out(built).settings
    settings = settings_of(type(built.component))
    for key, value in planned.items():
        yield from _leaves(resolved, join_path(path, key), value, secret=settings[key].is_secret)


def _leaves(resolved: Resolved, path: str, value: Any, *, secret: bool = False) -> Iterator[Value]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(resolved, join_path(path, key), inner, secret=secret)
    elif isinstance(value, list | tuple) and value:
        for number, inner in enumerate(value):
            yield from _leaves(resolved, join_path(path, number), inner, secret=secret)
    else:
        yield _value(resolved, path, value, secret=secret)


def _value(resolved: Resolved, path: str, value: Any, *, secret: bool = False, written_at: str | None = None) -> Value:
    """`written_at`: the path of a component's short form (a string)."""
    node, key = resolved.node(written_at or path), path.rpartition(".")[2]
    span = None if node is None else resolved.value_span(written_at or path)
    if span is None:
        return Value(path, None, _shown(value, key), DEFAULT)
    written = _as_written(resolved, span)
    if secret and not written.strip("\"'").startswith("${secret:"):
        written = MASK
    if span in resolved.literals.spans:
        value = MASK
    via = node.via if isinstance(node, Scalar) else None
    defined = None if via is None else _place(via)
    return Value(path, _shown(written, key), _shown(value, key), _place(span), defined)


def _as_written(resolved: Resolved, span: Span) -> str:
    """The text under a span, references unresolved."""
    lines = resolved.sources[span.file].split("\n")[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "\n".join(lines)


def _place(span: Span) -> str:
    """`dsrl.toml:43:7`; for the command line the option: `--set #1`."""
    if span.file.startswith("<--"):
        return span.file.strip("<>")
    return f"{span.file}:{span.line}:{span.column}"


def _shown(value: Any, key: str) -> Any:
    """The value, masked if it looks like a secret."""
    if isinstance(value, str):
        return masked(value) if looks_secret(value, key) else value
    return masked_json(value)


def _plain(value: Any) -> Any:
    """The value in JSON types: study arms may hold dates."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
