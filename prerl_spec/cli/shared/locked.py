"""How commands hold a spec against its lock: what is refused, what is only told, which commits are taken from it."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prerl_spec.cli.shared.rank_environment import is_main, tells_findings
from prerl_spec.compiler.compare.lock import Lock, lock_file, make_lock, read_lock, write_lock
from prerl_spec.compiler.compare.lock_drift import drift, mere_changes
from prerl_spec.compiler.compare.revisions import UNKNOWN
from prerl_spec.compiler.compile import Compiled, check_spec, compile_spec
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.errors import SpecInvalid, UsageError
from prerl_spec.registry.settings import settings_of


def compile_locked(spec: Path, overrides: dict[str, Any], *, locked: bool, update: bool) -> Compiled:
    """Compiles a spec at the commits of its lock, where there is one.

    With `locked` there must be one, and it must mean the same: raises UsageError, SpecInvalid (E0501). With `update` the
    lock is written first. With neither, what has drifted is told, and the spec runs as it stands.
    """
    if spec.suffix == ".json":
        if locked or update:
            raise UsageError("a plan has no lock: it is run as it stands", hint="name the spec")
        return compile_spec(spec, **overrides)
    file = lock_file(spec)
    lock = read_lock(file)
    if lock is None and locked:
        raise UsageError(f"--locked: {file} is not there", hint=f"prerl-spec lock {spec}")
    if lock is None and not update:
        return compile_spec(spec, **overrides)
    resolved, _ = check_spec(spec, **overrides)
    now = make_lock(resolved, make_plan(resolved), ask=update)
    if update:
        if is_main():
            write_lock(file, now)
        lock = now
    assert lock is not None, "a lock is there, or was written"
    if locked:
        require_same(resolved, lock, now)
    elif report_drift(resolved, lock, now):
        _say(f"warning: {file} is not followed: `run --locked` refuses, `lock` writes what is here")
    sets, found = tuple(overrides.get("sets", ())), pins(resolved, lock)
    compiled = compile_spec(spec, **{**overrides, "sets": (*sets, *found)})
    return _with_origin(compiled, {f"--set #{len(sets) + n}" for n in range(1, len(found) + 1)}, str(file))


def _with_origin(compiled: Compiled, of_lock: set[str], file: str) -> Compiled:
    """Says of the values that the lock has set that they are the lock's."""
    if not of_lock:
        return compiled
    values = tuple(replace(v, origin=file) if v.origin in of_lock else v for v in compiled.plan.values)
    plan = replace(compiled.plan, values=values)
    return replace(compiled, plan=plan, graph=replace(compiled.graph, plan=plan.as_json()))


def require_same(resolved: Resolved, locked: Lock, now: Lock) -> None:
    """Raises SpecInvalid with every drifted field; tells what differs without changing the meaning."""
    if found := drift(resolved, locked, now):
        raise SpecInvalid(found)
    _warn(mere_changes(locked, now))


def report_drift(resolved: Resolved, locked: Lock, now: Lock) -> bool:
    """Shows every drifted field without refusing it; whether there was one."""
    found = drift(resolved, locked, now)
    if not found:
        _warn(mere_changes(locked, now))
    for diagnostic in found:
        _say(f"changed since the lock: {diagnostic.message}")
    return bool(found)


def pins(resolved: Resolved, lock: Lock) -> tuple[str, ...]:
    """The locked commits as `--set` options, for what the spec names by a branch or tag."""
    found: list[str] = []
    for path, built in resolved.built.items():
        if "revision" not in settings_of(type(built.component)):
            continue
        for need in built.component.prerequisites():
            commit = lock.revisions.get(f"{need.what} {need.name}@{need.revision or 'main'}", UNKNOWN)
            if need.revision is not None and not commit.startswith(UNKNOWN) and commit != need.revision:
                found.append(f"{path}.revision={json.dumps(commit)}")
    return tuple(found)


def _warn(changes: Sequence[str]) -> None:
    for change in changes:
        _say(f"warning: {change}")


def _say(line: str) -> None:
    """On stderr; of several processes one speaks."""
    if tells_findings():
        print(line, file=sys.stderr)
