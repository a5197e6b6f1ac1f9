"""One side of a comparison: the meaning of a spec, a plan file or a run, and the origins of its values."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prerl_spec.compiler.compile import check_spec, read_plan
from prerl_spec.compiler.past_runs.run_folder import require_run_folder
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.flat_meaning import ABSENT, OF_A_PHASE, by_id, leaves, shown_value
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.planning.points import points_of
from prerl_spec.compiler.resolve.resolve import origins_of
from prerl_spec.language.toml import read_text

FOUND_OUT = ("rows", "phases")
"""Leaves without a key in the spec: the content of a data set's rows, the order of the phases."""


@dataclass(frozen=True)
class Side:
    """The flat meaning of one side, and the origin of each written value."""

    leaves: Mapping[str, Any]
    origins: Mapping[str, str]
    points: Mapping[str, tuple[str, ...]]
    """Phase id -> what its objective stands for."""

    def origin(self, path: str) -> str:
        """Origin of a value: "dsrl.toml:43", "default" if not written, "" for a leaf without a key in the spec. A phase's
        component may be that of the top level: then its place is there."""
        place = self._place(path) or self._place(self._above(path))
        if place:
            return place
        return "default" if path in self.leaves and path.rpartition(".")[2] not in FOUND_OUT else ""

    def _place(self, path: str) -> str:
        parent, _, key = path.rpartition(".")
        stand_for_a_table = (parent,) if key == "use" or parent.endswith(".data") else ()
        return next((self.origins[p] for p in (path, f"{path}[0]", *stand_for_a_table) if p in self.origins), "")

    def _above(self, path: str) -> str:
        """The path at the top level of a component's setting, for a phase that has no such component of its own; else ""."""
        inherited = OF_A_PHASE.fullmatch(path)
        if inherited is None:
            return ""
        role = re.split(r"[.\[]", inherited[1], maxsplit=1)[0]
        own = path.removesuffix(inherited[1]) + role
        has_own = any(p == own or p.startswith((f"{own}.", f"{own}[")) for p in self.origins)
        return "" if has_own else inherited[1]

    def shown(self, path: str) -> str:
        """A value in TOML notation; a component, of which only the `use` is compared, with its written settings:
        `{ use = "kl", coefficient = 0.1 }`."""
        value = shown_value(self.leaves.get(path, ABSENT))
        component = path.removesuffix(".use")
        if path not in self.leaves or component == path:
            return value
        inside = [p for p in self.leaves if p.startswith(f"{component}.") and p != path and self._is_written(p)]
        settings = [f"{p.removeprefix(f'{component}.')} = {shown_value(self.leaves[p])}" for p in inside]
        return f"{{ {', '.join([f'use = {value}', *settings])} }}" if settings else value

    def _is_written(self, path: str) -> bool:
        return self.origin(path) not in ("default", "")


def open_side(where: Path, overrides: Mapping[str, Any]) -> Side:
    """Resolves a spec, with the overrides, or reads a plan from a file or a run folder.

    Raises SpecInvalid for a spec with errors, UsageError for a path that is none of these.
    """
    if where.is_dir():
        require_run_folder(where)
        return _of_plan(read_plan(where / "plan.json"))
    if where.suffix == ".json":
        return _of_plan(read_plan(where))
    resolved, _ = check_spec(where, **overrides)
    ids = [phase.id for phase in resolved.spec.phases]
    plan = make_plan(resolved)
    return Side(leaves(plan), {by_id(path, ids): place for path, place in resolved.origins.items()}, _points(plan))


def _of_plan(plan: Plan) -> Side:
    """A plan stores the origins of values that differ from their defaults, and the text of its spec."""
    ids = _ids_as_written(plan)
    written = dict(origins_of(read_text(plan.spec_text, plan.spec_file).root))
    written |= {change.path: change.origin for change in plan.changes}
    return Side(leaves(plan), {by_id(path, ids): place for path, place in written.items()}, _points(plan))


def _points(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {phase.id: tuple(points_of(phase.objective, always=True)) for phase in plan.phases}


def _ids_as_written(plan: Plan) -> Sequence[str]:
    """Phase ids in the order of the spec, by which origins are numbered (`after` may reorder the plan).

    Empty for a spec that inherits phases: their origins are then unknown.
    """
    try:
        written = [phase.get("id") for phase in tomllib.loads(plan.spec_text).get("phases", ())]
    except (tomllib.TOMLDecodeError, AttributeError):
        return ()
    return written if sorted(written, key=str) == sorted(phase.id for phase in plan.phases) else ()
