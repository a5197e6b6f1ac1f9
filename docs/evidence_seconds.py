"""Equal seconds pair by pair, read on the held-out curve as `compare` reads them, and without its bound."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from statistics import fmean

from evidence_records import Cell

from prerl_spec.comparison.equal_amounts import WIDEST_GAP, at_equal_amount


@dataclass(frozen=True)
class EqualSeconds:
    """Differences of pairs at equal seconds: of those in which it is known, and of all, read across any gap of the curve."""

    known: tuple[float, ...]
    all: tuple[float, ...]

    @classmethod
    def of(cls, arm: Mapping[int, Cell], against: Mapping[int, Cell], curve: str) -> "EqualSeconds":
        found = {gap: [_read(against[seed], arm[seed], curve, gap) for seed in arm] for gap in (WIDEST_GAP, inf)}
        known, everywhere = ([d for d in read if d is not None] for read in found.values())
        if len(everywhere) != len(arm):
            raise ValueError(f"no score on both sides of an end in {len(arm) - len(everywhere)} pairs")
        return cls(tuple(known), tuple(everywhere))

    @property
    def mean_of_known(self) -> float:
        return fmean(self.known)

    @property
    def mean_of_all(self) -> float:
        return fmean(self.all)


def _read(first: Cell, second: Cell, curve: str, widest_gap: float) -> float | None:
    curves = [cell.over_seconds(*curve.split("/")) for cell in (first, second)]
    further = first if curves[0][-1][0] > curves[1][-1][0] else second
    return at_equal_amount(*curves, further.steps[-1]["seconds"]["total"], widest_gap).difference
