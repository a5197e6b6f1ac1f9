"""Lists the settings of a spec that differ from their defaults, with the origin of each."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from prerl_spec.compiler.plan import Change
from prerl_spec.compiler.planning.component_plan import MASK, is_plain
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.language.spec import Spec
from prerl_spec.registry.settings import Setting, settings_of

APART = frozenset({"extends", "unset", "requires", "vars", "plugins", "study", "start", "id", "after"})
"""Keys that do not configure the run itself."""
ASKED_FOR = frozenset({"prompts_per_step", "documents_per_step"})
"""Keys of which a phase requires one: not a deviation from a default."""


def changes(resolved: Resolved) -> tuple[Change, ...]:
    """The changed settings in file order; a required setting has no default, so it is never listed."""
    found = [*_of_section(resolved, resolved.spec, Spec, "")]
    for path, built in resolved.built.items():
        for key, setting in settings_of(type(built.component)).items():
            if key in built.written and is_plain(setting, built):
                found += _change(resolved, f"{path}.{key}", setting, getattr(built.component, setting.attribute))
    return tuple(sorted(found, key=lambda c: resolved.order(c.path)))


def _of_section(resolved: Resolved, values: Any, model: type[BaseModel], path: str) -> Iterator[Change]:
    for key, setting in settings_of(model).items():
        where = f"{path}.{key}" if path else key
        value = getattr(values, setting.attribute)
        if setting.slot is not None or key in APART | ASKED_FOR or not resolved.is_written(where):
            continue
        if setting.section is None:
            yield from _change(resolved, where, setting, value)
        elif isinstance(value, tuple):
            for number, item in enumerate(value):
                yield from _of_section(resolved, item, setting.section, f"{where}[{number}]")
        elif value is not None:
            yield from _of_section(resolved, value, setting.section, where)


def _change(resolved: Resolved, path: str, setting: Setting, value: Any) -> Iterator[Change]:
    if setting.required or value == setting.default:
        return
    span = resolved.value_span(path)
    origin = resolved.origins.get(path) or ("" if span is None else f"{span.file}:{span.line}")
    shown = MASK if setting.is_secret else value
    yield Change(path, _plain(shown), _plain(setting.default), origin)


def _plain(value: Any) -> Any:
    """The value in JSON types, so that a plan survives a round trip."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
