"""Writes docs/agreement.md: our losses, gradients and advantages beside those that TRL's and verl's own code computed.

`PYTHONPATH=.:components python docs/write_agreement.py` brings the page up to date; tests/components/agreement fails while
it is not. benchmarks/agreement computes the peers' numbers.
"""

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prerl_spec.sdk import Component
from tests.components.agreement.cases import CASES
from tests.components.agreement.comparison import TOLERANCE, Difference, differences, peers, records
from tests.components.agreement.ours import Ours
from tests.components.agreement.zoo import FOLDER as ZOO

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "agreement.md"
NAMES = {"trl": "TRL", "verl": "verl"}
HEAD = """# Agreement with TRL {trl} and verl {verl}

The same stored batches go through the peers' own code and through the objectives of this project: {cases} cases on batches of
12 responses in 3 groups, of 1 to 12 tokens, one of them cut off, one group of equal rewards. The old, the current, the
reference's and the sampler's log-probabilities all differ. Compared are the loss, its gradient with respect to each current
log-probability, and the advantages; shown is the largest absolute difference over three batches, in float32. One of the
batches (`far`) has three of four tokens outside the usual clip, so that bounds and corrections act; in `near` the policy has
hardly moved, in `graded` rewards lie between 0 and 1. The peers' losses are of
size 7e-4 to 6 (median 0.04), the largest entries of their gradients 2e-3 to 2 (median 0.02).

Where we agree, the difference is at most {tolerance}, and a test holds it there. Where we differ, we do on purpose:
[the second table](#where-the-numbers-differ) says in what, and whose formula is the paper's.
`docs/write_agreement.py` writes this page. [benchmarks/agreement](../benchmarks/agreement/README.md) says how the peers'
numbers came about; they stand with the versions and the SHA-256 of each of the peers' files in
[tests/components/agreement](../tests/components/agreement/peers.json).
"""
SCALING = """ `scale_rewards` is "none" where the advantage is not the point: TRL adds
another epsilon to the standard deviation than the others."""
SAME = """
## Where the numbers agree: {name}

A setting that is not shown has its default.{note}

| case | {name}'s settings | here | loss | gradient | advantage |
|---|---|---|---|---|---|
"""
OTHER = """
## Where the numbers differ

| case | here | loss | gradient | advantage | what differs, and whose formula it is |
|---|---|---|---|---|---|
"""
NONE = """
## Without a counterpart

| case | why |
|---|---|
"""


def page() -> str:
    """The whole page, as it should stand in docs/agreement.md."""
    versions = {name: peer["version"] for name, peer in peers()["peers"].items()}
    text = HEAD.format(
        trl=versions["trl"], verl=versions["verl"], cases=len(CASES), tolerance=bound(TOLERANCE).removeprefix("≤ ")
    )
    compared = {case: (ours, *differences(case, ours)) for case, ours in CASES.items() if isinstance(ours, Ours)}
    for peer, name in NAMES.items():
        text += SAME.format(name=name, note=SCALING if peer == "trl" else "")
        for case, (ours, same, _) in compared.items():
            if same is not None and records()[case][0]["peer"] == peer:
                text += row(f"`{case}`", settings(case), spec(ours), *figures(same, bound))
    text += OTHER
    for case, (ours, _, other) in compared.items():
        if other is not None:
            where = f" (batch {', '.join(f'`{name}`' for name in ours.on)})" if ours.on else ""
            text += row(f"`{case}`{where}", spec(ours), *figures(other, one_digit), ours.differs)
    text += NONE
    return text + "".join(row(f"`{case}`", why) for case, why in CASES.items() if isinstance(why, str))


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def figures(difference: Difference, written: Any) -> list[str]:
    return [
        written(difference.largest[part]) if part in difference.largest else "–"
        for part in ("loss", "gradient", "advantage")
    ]


def bound(value: float) -> str:
    """The next power of ten: figures below 1e-7 are rounding, and differ between machines."""
    return f"≤ 1e{math.ceil(math.log10(max(value, 1e-7)) - 1e-9):d}"


def one_digit(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-") if value > TOLERANCE else bound(value)


def settings(case: str) -> str:
    shown: Mapping[str, Any] = records()[case][0]["settings"]
    return ", ".join(f"`{key} = {literal(value)}`" for key, value in shown.items()) or "defaults"


def spec(ours: Ours) -> str:
    """The objective as a spec has it, or the advantage where nothing else is compared."""
    shown = ours.objective.advantage if ours.compared == ("advantage",) else ours.objective
    return f"`{literal(shown)}`" + (f", `updates_per_batch = {ours.updates}`" if ours.updates > 1 else "")


def literal(value: Any) -> str:
    """A value as TOML has it, components with the settings that are not their defaults."""
    if isinstance(value, Component):
        return component(value)
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {literal(found)}' for key, found in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def component(value: Component) -> str:
    written = {
        key: getattr(value, key)
        for key, field in type(value).model_fields.items()
        if field.is_required() or getattr(value, key) != field.get_default(call_default_factory=True)
    }
    use = name_of(type(value))
    if not written:
        return f'"{use}"'
    pairs = [f'use = "{use}"', *(f"{key} = {literal(found)}" for key, found in written.items())]
    return f"{{ {', '.join(pairs)} }}"


def name_of(kind: type) -> str:
    """The name in the table of built-ins, or in that of the zoo."""
    where = f"{kind.__module__}:{kind.__qualname__}"
    for file in (ROOT / "pyproject.toml", ZOO / "pyproject.toml"):
        for entries in tomllib.loads(file.read_text(encoding="utf-8"))["project"]["entry-points"].values():
            for name, target in entries.items():
                if target == where:
                    return str(name)
    raise AssertionError(f"{where} is no entry point")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
