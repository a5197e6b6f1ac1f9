"""Which of an engine's rows hold which rows of a checkpoint: learned from what it holds after a push, so that nothing is
assumed about how it fuses, pads, splits or packs weights.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prerl_components.samplers.shared.row_hashes import Hashes

SHORTEST = 8
"""Values of a vector that must agree in sequence: single 16-bit values agree by chance."""

TRIED = 4096
"""Places in the checkpoint that are compared with one place in the engine: equal values are many only among constants."""


class Form(NamedTuple):
    """A way in which an engine may hold a tensor: `Form("rows")`, or part 1 of 2 of its columns, `Form("part", 1, 2)`."""

    kind: str
    """"rows", "columns" (transposed), "part" of the columns, "float32" (not in the engine's dtype), "scaled"."""
    part: int = 0
    parts: int = 1


Source = tuple[str, Form]
"""The name of a tensor in the checkpoint, and the form in which its rows were hashed."""


class Run(NamedTuple):
    """Rows `start` … of an engine's tensor that are rows `offset` … of a checkpoint's, `length` of them."""

    start: int
    source: Source
    offset: int
    length: int


class WeightMap:
    """Runs by engine tensor. Rows in no run (the padding of a vocabulary) must stay as they were when the map was learned."""

    def __init__(self, engine: Mapping[str, Hashes]) -> None:
        self._learned = dict(engine)
        self._free = {key: np.ones(len(rows), bool) for key, rows in engine.items()}
        self.runs: dict[str, list[Run]] = {key: [] for key in engine}

    @property
    def sources(self) -> frozenset[Source]:
        """What the engine's rows come from."""
        return frozenset(run.source for runs in self.runs.values() for run in runs)

    def add(self, sources: Mapping[Source, Hashes]) -> None:
        """Adds the runs of rows that are in no run yet and equal rows of `sources`."""
        places = _Places(sources)
        for key, rows in self._learned.items():
            free, at = self._free[key], 0
            known = np.flatnonzero(free & places.has(rows))
            for place in known.tolist():
                if place < at or (run := places.run_at(rows, place, free)) is None:
                    continue
                self.runs[key].append(run)
                free[place : place + run.length] = False
                at = place + run.length

    def missing(self, sources: Mapping[Source, Hashes]) -> dict[str, int]:
        """The rows of each tensor that the engine holds nowhere, by name, without those that it holds entirely.

        A tensor in parts is held if every part is. Constants (norms before training) may stand for each other.
        """
        seen = {source: np.zeros(len(rows), bool) for source, rows in sources.items()}
        for runs in self.runs.values():
            for run in runs:
                if run.source in seen:
                    seen[run.source][run.offset : run.offset + run.length] = True
        held = {sources[source].tobytes() for source, rows in seen.items() if rows.all()}
        lacking: dict[str, dict[tuple[str, int], int]] = {}
        for source, rows in seen.items():
            name, form = source
            number = 0 if sources[source].tobytes() in held else int((~rows).sum())
            by_kind = lacking.setdefault(name, {})
            by_kind[form.kind, form.parts] = by_kind.get((form.kind, form.parts), 0) + number
        fewest = {name: min(by_kind.values()) for name, by_kind in lacking.items()}
        return {name: number for name, number in fewest.items() if number}

    def expected(self, sources: Mapping[Source, Hashes]) -> dict[str, Hashes]:
        """What the engine's tensors must hold if `sources` is what was pushed."""
        wanted = {key: rows.copy() for key, rows in self._learned.items()}
        for key, runs in self.runs.items():
            for start, source, offset, length in runs:
                wanted[key][start : start + length] = sources[source][offset : offset + length]
        return wanted

    def wrong_rows(self, wanted: Mapping[str, Hashes], held: Mapping[str, Hashes]) -> dict[str, NDArray[np.intp]]:
        """The rows in which the engine differs, by the checkpoint's name and the engine's."""
        wrong: dict[str, list[NDArray[np.intp]]] = {}
        for key, rows in wanted.items():
            found = held.get(key, np.zeros(0, np.int64))
            if len(found) != len(rows):
                wrong[key] = [np.arange(len(rows))]
                continue
            differs = rows != found
            for start, (name, _), offset, length in self.runs[key]:
                if (places := np.flatnonzero(differs[start : start + length])).size:
                    label = key if key == name else f"{name} in the engine's {key}"
                    wrong.setdefault(label, []).append(places + offset)
                differs[start : start + length] = False
            if (rest := np.flatnonzero(differs)).size:
                wrong.setdefault(key, []).append(rest)
        return {name: np.unique(np.concatenate(parts)) for name, parts in wrong.items()}


class _Places:
    """All rows of a checkpoint's tensors in one array, indexed by hash."""

    def __init__(self, sources: Mapping[Source, Hashes]) -> None:
        self._sources = list(sources)
        rows = [sources[source] for source in self._sources]
        self._lengths = dict(zip(self._sources, map(len, rows), strict=True))
        self._starts = np.cumsum([0, *map(len, rows)])
        self._rows = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        self._order = np.argsort(self._rows, kind="stable")
        self._sorted = self._rows[self._order]

    def has(self, rows: Hashes) -> NDArray[np.bool_]:
        """[R] whether a row is any of the checkpoint's."""
        if not len(self._sorted):
            return np.zeros(len(rows), bool)
        at = np.minimum(np.searchsorted(self._sorted, rows), len(self._sorted) - 1)
        return np.asarray(self._sorted[at] == rows)

    def run_at(self, rows: Hashes, start: int, free: NDArray[np.bool_]) -> Run | None:
        """The longest run that begins at row `start`; a whole tensor, if one fits, before a part of one."""
        taken = np.flatnonzero(~free[start:])
        rows = rows[start : start + (int(taken[0]) if taken.size else len(rows))]
        left, right = (int(np.searchsorted(self._sorted, rows[0], side=side)) for side in ("left", "right"))
        candidates = self._order[left:right][:TRIED]
        best = max((self._run(rows, start, place) for place in self._narrowed(rows, candidates)), key=_rank)
        whole = best.length == self._lengths[best.source]
        return best if whole or best.length >= SHORTEST else None

    def _narrowed(self, rows: Hashes, places: NDArray[np.intp]) -> Iterable[int]:
        """The places whose next SHORTEST rows agree too, if there are any."""
        for ahead in range(1, min(SHORTEST, len(rows))):
            inside = places[places + ahead < len(self._rows)]
            further = inside[self._rows[inside + ahead] == rows[ahead]]
            if not further.size:
                break
            places = further
        return [int(place) for place in places]

    def _run(self, rows: Hashes, start: int, place: int) -> Run:
        index = int(np.searchsorted(self._starts, place, side="right")) - 1
        own = self._rows[place : self._starts[index + 1]][: len(rows)]
        differs = np.flatnonzero(own != rows[: len(own)])
        length = int(differs[0]) if differs.size else len(own)
        return Run(start, self._sources[index], place - int(self._starts[index]), length)


def _rank(run: Run) -> tuple[int, int]:
    return run.length, -run.offset
