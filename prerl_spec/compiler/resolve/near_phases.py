"""A phase that lacks what every phase has, and whose id is nearly another's, was probably meant to change that one."""

import re

from prerl_spec.language.document import Array, Scalar, Table
from prerl_spec.language.suggest import nearest, one_of

_PHASE = re.compile(r"phases\[\d+\]")


def near_phases(root: Table, phase: Table, path: str) -> tuple[str, ...]:
    """The note for a phase at `phases[2]`; none at other paths, nor where no other id is near."""
    phases = root.get("phases")
    own = _id(phase)
    if not _PHASE.fullmatch(path) or not isinstance(phases, Array) or own is None:
        return ()
    others = [_id(item) for item in phases.items if isinstance(item, Table) and item is not phase]
    near = nearest(own, [other for other in others if other is not None])
    return (f"`{own}` is a phase of its own; one that changes {one_of(near)} has the same id",) if near else ()


def _id(phase: Table) -> str | None:
    node = phase.get("id")
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None
