"""How commands check a spec against its lock: what is an error, what is only reported, which commits are pinned."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prerl_spec.compiler.compare.lock import Lock, lock_file, make_lock, read_lock, write_lock
from prerl_spec.compiler.compare.lock_drift import drift, mere_changes
from prerl_spec.compiler.compare.revisions import UNKNOWN
from prerl_spec.compiler.compile import Compiled, check_spec, compile_spec
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.errors import SpecInvalid, UsageError
from prerl_spec.process.rank_environment import is_main, reports_findings
from prerl_spec.registry.settings import settings_of


def compile_locked(
    spec: Path, overrides: dict[str, Any], *, locked: bool, update: bool, hardware: Hardware | None = None
) -> Compiled:
    """Compiles a spec at the commits of its lock, where there is one, for this machine or the one given.

    With `locked`, raises UsageError if there is no lock and SpecInvalid (E0501) if it differs in meaning. With `update`,
    writes the lock first. With neither, drift is reported and the spec is compiled as written.
    """
    if spec.suffix == ".json":
        if locked or update:
            raise UsageError("a plan file has no lock: it is run unchanged", hint="name the spec instead of the plan")
        return compile_spec(spec, **overrides, hardware=hardware)
    file = lock_file(spec)
    lock = read_lock(file)
    if lock is None and locked:
        raise UsageError(f"--locked: {file} does not exist", hint=f"write it with `prerl-spec lock {spec}`")
    if lock is None and not update:
        return compile_spec(spec, **overrides, hardware=hardware)
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
        _print_once(f"warning: {file} is out of date: `run --locked` would fail, `lock` updates it")
    sets, found = tuple(overrides.get("sets", ())), pins(resolved, lock)
    compiled = compile_spec(spec, **{**overrides, "sets": (*sets, *found)}, hardware=hardware)
    return _with_origin(compiled, {f"--set #{len(sets) + n}" for n in range(1, len(found) + 1)}, str(file))


def pinned(spec: Path, overrides: dict[str, Any]) -> dict[str, Any]:
    """The overrides with the commits of the spec's lock, where there is one; drift is reported. For commands that compile
    a spec several times."""
    if (lock := read_lock(lock_file(spec))) is None:
        return overrides
    resolved, _ = check_spec(spec, **overrides)
    report_drift(resolved, lock, make_lock(resolved, make_plan(resolved), ask=False))
    return {**overrides, "sets": (*overrides.get("sets", ()), *pins(resolved, lock))}


def _with_origin(compiled: Compiled, of_lock: set[str], file: str) -> Compiled:
    """Names the lock file as the origin of the values that it has set."""
    if not of_lock:
        return compiled
    values = tuple(replace(v, origin=file) if v.origin in of_lock else v for v in compiled.plan.values)
    plan = replace(compiled.plan, values=values)
    return replace(compiled, plan=plan, graph=replace(compiled.graph, plan=plan.as_json()))


def require_same(resolved: Resolved, locked: Lock, now: Lock) -> None:
    """Raises SpecInvalid with every drifted field; warns about differences that do not change the meaning."""
    if found := drift(resolved, locked, now):
        raise SpecInvalid(found, resolved.sources)
    _warn(mere_changes(locked, now))


def report_drift(resolved: Resolved, locked: Lock, now: Lock) -> bool:
    """Reports every drifted field without raising; returns whether there was one."""
    found = drift(resolved, locked, now)
    if not found:
        _warn(mere_changes(locked, now))
    for diagnostic in found:
        _print_once(f"changed since the lock: {diagnostic.message}")
    return bool(found)


def pins(resolved: Resolved, lock: Lock) -> tuple[str, ...]:
    """The locked commits as `--set` options, for revisions that the spec names by branch or tag."""
    found: list[str] = []
    for path, built in resolved.built.items():
        if "revision" not in settings_of(type(built.component)):
            continue
        for prerequisite in built.component.prerequisites():
            commit = lock.revisions.get(
                f"{prerequisite.what} {prerequisite.name}@{prerequisite.revision or 'main'}", UNKNOWN
            )
            if prerequisite.revision is not None and not commit.startswith(UNKNOWN) and commit != prerequisite.revision:
                found.append(f"{path}.revision={json.dumps(commit)}")
    return tuple(found)


def _warn(changes: Sequence[str]) -> None:
    for change in changes:
        _print_once(f"warning: {change}")


def _print_once(line: str) -> None:
    """Prints to stderr, in one of several processes only."""
    if reports_findings():
        print(line, file=sys.stderr)
