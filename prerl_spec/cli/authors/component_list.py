"""The listing of `components list`, from metadata alone: tiers, kinds, and presets by family."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from prerl_spec.registry.kind_names import KINDS

if TYPE_CHECKING:
    from prerl_spec.registry.entry_points import Entry

WIDTH = 100
ZOO = "zoo"
PRESETS = "presets"
TIERS = ("core", "zoo", "plugin")


def tier(entry: "Entry") -> Literal["core", "zoo", "plugin"]:
    """core: this distribution's own; zoo: published ideas in the namespace `zoo`, held to the laws only; else a plugin."""
    if entry.is_own:
        return "core"
    return "zoo" if entry.name.startswith(f"{ZOO}.") else "plugin"


def family(entry: "Entry") -> str | None:
    """A preset's family, "group relative": the module in the folder `presets` that defines it; None for anything else."""
    *folders, module = entry.value.partition(":")[0].split(".")
    return module.replace("_", " ") if folders[-1:] == [PRESETS] else None


def row(entry: "Entry") -> dict[str, str | None]:
    """An entry for programs."""
    return {
        "kind": entry.kind,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.distribution_version,
        "tier": tier(entry),
        "family": family(entry),
    }


def in_order(entries: Sequence["Entry"]) -> list["Entry"]:
    """By tier, then kind; presets after the other components of their kind, family by family."""
    return sorted(entries, key=lambda e: (TIERS.index(tier(e)), KINDS.index(e.kind), family(e) or ""))


def listing(entries: Sequence["Entry"]) -> Iterator[str]:
    """The lines: a block for each tier, a paragraph for each kind, one for each family of presets."""
    width = max((len(e.kind) for e in entries), default=0)
    for number, which in enumerate(t for t in TIERS if any(tier(e) == t for e in entries)):
        mine = [e for e in in_order(entries) if tier(e) == which]
        if which != "core":
            yield from ([""] if number else [])
            yield f"{which}: {', '.join(sorted({f'{e.distribution} {e.distribution_version}' for e in mine}))}"
        for kind in dict.fromkeys(e.kind for e in mine):
            label: str = kind
            for name in dict.fromkeys(family(e) for e in mine if e.kind == kind):
                names = ", ".join(e.name for e in mine if e.kind == kind and family(e) == name)
                yield _paragraph(names if name is None else f"{name}: {names}", label, width)
                label = ""


def _paragraph(text: str, label: str, width: int) -> str:
    first, rest = f"{label:<{width}}  ", " " * (width + 4)
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
