"""One side of a comparison: a spec, a written plan or a run, as what it means and where that was written."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prerl_spec.compiler.compile import check_spec, read_plan
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.flat_meaning import by_id, leaves
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.errors import UsageError

FOUND_OUT = ("rows", "phases")
"""Leaves that no key writes: what the rows of a data set say, the order of the phases."""


@dataclass(frozen=True)
class Side:
    """What one side means, leaf by leaf, and where each written value came from."""

    leaves: Mapping[str, Any]
    origins: Mapping[str, str]

    def origin(self, path: str) -> str:
        """The place of a value: "dsrl.toml:43", "default" for what is not written, "" for what no spec writes."""
        parent, _, key = path.rpartition(".")
        stand_for_a_table = (parent,) if key == "use" or parent.endswith(".data") else ()
        for written in (path, f"{path}[0]", *stand_for_a_table):
            if written in self.origins:
                return self.origins[written]
        return "default" if path in self.leaves and key not in FOUND_OUT else ""


def open_side(where: Path, overrides: Mapping[str, Any]) -> Side:
    """A spec is resolved, with the overrides; a plan, of a file or a run folder, is read.

    Raises SpecInvalid for a spec with errors, UsageError for what is neither.
    """
    if where.is_dir():
        if not (where / "plan.json").is_file():
            raise UsageError(f"{where} is no run folder: it holds no plan.json", hint="name a spec, a plan or a run")
        return _of_plan(read_plan(where / "plan.json"))
    if where.suffix == ".json":
        return _of_plan(read_plan(where))
    resolved, _ = check_spec(where, **overrides)
    ids = [phase.id for phase in resolved.spec.phases]
    return Side(leaves(make_plan(resolved)), {by_id(path, ids): place for path, place in resolved.origins.items()})


def _of_plan(plan: Plan) -> Side:
    """A plan remembers the places of values that differ from their defaults."""
    ids = _ids_as_written(plan)
    return Side(leaves(plan), {by_id(change.path, ids): change.origin for change in plan.changes})


def _ids_as_written(plan: Plan) -> Sequence[str]:
    """The ids of the phases in the order of the spec, by which the places are numbered: `after` makes another one. Of a
    spec that inherits phases it is not known, and their places stay untold."""
    try:
        written = [phase.get("id") for phase in tomllib.loads(plan.spec_text).get("phases", ())]
    except (tomllib.TOMLDecodeError, AttributeError):
        return ()
    return written if sorted(written, key=str) == sorted(phase.id for phase in plan.phases) else ()
