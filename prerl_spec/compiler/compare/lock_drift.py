"""Compares a lock with the current spec and installation.

A change of meaning is E0501 at its place in the spec; a change of versions or texts alone is only reported.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.compare.lock import Lock, LockedComponent
from prerl_spec.compiler.planning.flat_meaning import ABSENT, Difference, by_index, differing, shown_value
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.errors import Diagnostic, Span
from prerl_spec.language.document import parent_path

_HASH_SHOWN = 12


def drift(resolved: Resolved, locked: Lock, now: Lock) -> tuple[Diagnostic, ...]:
    """E0501 for every changed field, in the order of the plan."""
    found = [_of_meaning(resolved, difference) for difference in differing(locked.meaning, now.meaning)]
    reported = {diagnostic.path for diagnostic in found}
    for path, component in now.components.items():
        before = locked.components.get(path)
        if before is not None and not {f"{path}.{key}" for key in ("use", "distribution", "version")} & reported:
            found += _of_component(resolved, path, before, component, locked.distributions, now.distributions)
    found += [
        _diagnostic(resolved, f"the files in {name} have changed since they were locked", _setting_of(resolved, name))
        for name, content in now.folders.items()
        if locked.folders.get(name, content) != content
    ]
    if found:
        found[-1] = replace(found[-1], help=f"revert the change, or update the lock: prerl-spec lock {resolved.file}")
    return tuple(found)


def mere_changes(locked: Lock, now: Lock) -> tuple[str, ...]:
    """Messages for differences that do not change the meaning."""
    versions = differing(locked.distributions, now.distributions)
    changed = [f"{name} is {_version(after)}, locked is {_version(before)}" for name, before, after in versions]
    texts = [name for name, _, _ in differing(locked.sources, now.sources)]
    return (*changed, *(f"{name} has changed since it was locked, its meaning has not" for name in sorted(texts)))


def _setting_of(resolved: Resolved, folder: str) -> str:
    """Path of the setting that names a model's folder: "model.name", "phases[0].objective.teacher.tokenizer"."""
    models = [(path, built.component.settings()) for path, built in resolved.built.items() if built.kind == "model"]
    named = (
        f"{path}.{key}" for path, settings in models for key in ("name", "tokenizer") if settings.get(key) == folder
    )
    return next(named, "model.name")


def _of_meaning(resolved: Resolved, difference: Difference) -> Diagnostic:
    path, before, after = difference
    if after is ABSENT:
        message = f"`{path}` is absent, locked is {shown_value(before)}"
    elif before is ABSENT:
        message = f"`{path}` is {shown_value(after)}, which is not in the lock"
    else:
        message = f"`{path}` is {shown_value(after)}, locked is {shown_value(before)}"
    return _diagnostic(resolved, message, path)


def _of_component(
    resolved: Resolved,
    path: str,
    before: LockedComponent,
    now: LockedComponent,
    old_versions: Mapping[str, str],
    new_versions: Mapping[str, str],
) -> Iterator[Diagnostic]:
    origin = f"{before.distribution} {old_versions.get(before.distribution, '?')} was locked"
    here = f"{now.distribution} {new_versions.get(now.distribution, '?')} is installed"
    for what, old, new in (
        ("settings", before.settings_schema, now.settings_schema),
        ("code", before.implementation, now.implementation),
    ):
        if old != new:
            message = f"the {what} of `{now.use}` at `{path}` changed since it was locked"
            diagnostic = _diagnostic(resolved, message, f"{path}.use")
            yield replace(
                diagnostic,
                notes=(
                    f"{what} hash {old[:_HASH_SHOWN]} was locked, {new[:_HASH_SHOWN]} is current",
                    f"{origin}, {here}",
                ),
            )


def _diagnostic(resolved: Resolved, message: str, path: str) -> Diagnostic:
    return Diagnostic(Code.LOCK_DRIFT, message, _place(resolved, path), path)


def _place(resolved: Resolved, path: str) -> Span | None:
    """Span of the value; for a default, of the nearest written parent: its component's name or its table."""
    at = by_index(path, [phase.id for phase in resolved.spec.phases])
    if at.endswith(".use"):
        return resolved.use_span(parent_path(at))
    if (of_phase := re.fullmatch(r"phases\[\d+\]\.((\w+)\b.*)", at)) and not resolved.is_written(
        at.removesuffix(of_phase[1]) + of_phase[2]
    ):
        at = of_phase[1] if resolved.is_written(of_phase[2]) else at
    while at:
        if resolved.is_written(at):
            return resolved.use_span(at) if at in resolved.built else resolved.value_span(at)
        at = parent_path(at)
    return None


def _version(value: Any) -> str:
    return "absent" if value is ABSENT else str(value)
