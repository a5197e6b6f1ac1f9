"""The meaning of a plan as a flat table: the path by which a spec sets a value -> the value.

Phases are addressed by id, as in `--set phases.prune.objective.coefficient=0.02`; a file is represented by its content.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.digest import meaning
from prerl_spec.language.document import join_path
from prerl_spec.registry.settings import shown

COMPONENT = frozenset({"use", "settings", "slots", "files"})
"""Keys that identify a component in a meaning."""

UNITS = {("units_per_step", True): "prompts_per_step", ("units_per_step", False): "documents_per_step"}
"""The spec's key for the units of a step, by whether the phase uses rollouts."""
OF_A_PHASE = re.compile(r"phases\.[a-z0-9_]+\.(.+)")


class Difference(NamedTuple):
    """A path at which two meanings differ; a missing value is ABSENT."""

    path: str
    before: Any
    after: Any


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()
_HASH = (64, 12)
"""Digits of a hash, and the number of them that is shown."""


def leaves(plan: Plan) -> dict[str, Any]:
    """Path -> JSON value, in the order of the plan; the value at `phases` is the order of the phases."""
    tree = meaning(plan)
    phases = tree.pop("phases")
    named = {
        phase["id"]: {UNITS.get((k, p.uses_rollouts), k): v for k, v in phase.items() if k != "id"}
        for phase, p in zip(phases, plan.phases, strict=True)
    }
    flat = dict(_flat(tree, ""))
    return {**flat, "phases": [*named], **dict(_flat(named, "phases"))}


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Where two tables differ, leaf by leaf.

    For a component that was replaced, and a phase that only one side has, only the first leaf is reported: the others
    cannot be compared. A difference that a phase inherits from the top level is reported there.
    """
    apart: list[str] = []
    found: dict[str, Difference] = {}
    for path in [*after, *(p for p in before if p not in after)]:
        old, new = before.get(path, ABSENT), after.get(path, ABSENT)
        if _same(old, new) or path.startswith(tuple(apart)):
            continue
        if path.endswith(".use"):
            apart.append(path.removesuffix("use"))
        if path == "phases" and isinstance(old, list) and isinstance(new, list):
            apart += [f"{join_path('phases', phase)}." for phase in {*old} ^ {*new}]
        inherited = OF_A_PHASE.fullmatch(path)
        above = found.get(inherited[1]) if inherited else None
        if above is None or (above.before, above.after) != (old, new):
            found[path] = Difference(path, old, new)
    return tuple(found.values())


def shown_value(value: Any) -> str:
    """A leaf in TOML notation; the first digits of a hash, `-` for an absent value."""
    if value is ABSENT:
        return "-"
    digits, kept = _HASH
    if isinstance(value, str) and len(value) == digits and not set(value) - set("0123456789abcdef"):
        return f"content {value[:kept]}"
    return f"[{', '.join(map(shown_value, value))}]" if isinstance(value, list) else shown(value)


def by_id(path: str, ids: Sequence[str]) -> str:
    """`phases[1].objective` as `phases.refine.objective`; `ids` are the phase ids in the order of the spec."""
    found = re.match(r"phases\[(\d+)\]", path)
    if found is None or int(found[1]) >= len(ids):
        return path
    return join_path("phases", ids[int(found[1])]) + path[found.end() :]


def by_index(path: str, ids: Sequence[str]) -> str:
    """The inverse of `by_id`; a phase that is not among `ids` keeps its name."""
    for index, phase in enumerate(ids):
        named = join_path("phases", phase)
        if path == named or path.startswith(f"{named}."):
            return f"phases[{index}]{path[len(named) :]}"
    return path


def _same(old: Any, new: Any) -> bool:
    # 1 == True == 1.0 in Python, but not in a spec; a number is the same however it is written.
    return old == new and isinstance(old, bool) == isinstance(new, bool)


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value.keys() >= COMPONENT:
        yield f"{path}.use", value["use"]
        yield f"{path}.distribution", value["distribution"]
        yield f"{path}.version", value["version"]
        inside = {**value["settings"], **value["files"], **value["slots"]}
        if "rows" in value:
            inside["rows"] = value["rows"]
        yield from (leaf for key, inner in inside.items() for leaf in _flat(inner, join_path(path, key)))
    elif isinstance(value, Mapping) and value:
        yield from (leaf for key, inner in value.items() for leaf in _flat(inner, join_path(path, key)))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        yield from (leaf for index, item in enumerate(value) for leaf in _flat(item, join_path(path, index)))
    elif value is not None:
        yield path, list(value) if isinstance(value, tuple) else value
