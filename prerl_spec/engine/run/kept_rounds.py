"""What an evaluation has sampled, judged and scored so far, kept on disk: an interrupted one continues where it stopped.

The work of a process is cut into rounds before it begins, so that a sample shares its batch with the same others whenever the
evaluation is interrupted: a resumed evaluation has the bits of an undisturbed one. A round is named by a hash of everything
that determines it, and its file is checked before it is used: one that is torn, damaged or misplaced is computed again.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from prerl_spec.engine.processes.disk_errors import translate_disk_errors
from prerl_spec.errors import Damaged
from prerl_spec.storage.disk import write_whole
from prerl_spec.storage.frames import Frame, FrameKind, encoded, read_frames
from prerl_spec.storage.journal_frames import verdict_fields, verdict_of
from prerl_spec.types import Decoding, Generation, Request, Verdict

T = TypeVar("T")

SAMPLES_PER_ROUND = 1024
"""As many rows as the embedded sampler decodes at once: rounds of fewer would leave it half empty."""

UNFINISHED = "unfinished"
"""Folder of the rounds, beside the cache of scores."""


def rounds_of(items: Sequence[T], size: Callable[[T], int], most: int = SAMPLES_PER_ROUND) -> list[list[T]]:
    """The items in order, cut into rounds of at most `most` together, or of one item that is larger."""
    rounds: list[list[T]] = []
    total = 0
    for item in items:
        if not rounds or total + size(item) > most:
            rounds.append([])
            total = 0
        rounds[-1].append(item)
        total += size(item)
    return rounds


class KeptRounds:
    """Rounds in a folder; `conditions` is everything that determines a round besides its own items: the weights' hash,
    the sampler. Several processes may use the folder at once."""

    def __init__(self, folder: Path, conditions: Mapping[str, Any]) -> None:
        self._folder = folder
        self._conditions = conditions

    def generations(self, requests: Sequence[Request], decoding: Decoding) -> "Round[list[list[Generation]]]":
        what = {"decoding": asdict(decoding), "requests": [[r.context, r.seeds] for r in requests]}
        return Round(self._file("generations", what), _pack_generations, _unpack_generations)

    def verdicts(self, verifier: Mapping[str, Any], items: Sequence[tuple[str, str, bool]]) -> "Round[list[Verdict]]":
        return Round(self._file("verdicts", {"verifier": verifier, "items": items}), _pack_verdicts, _unpack_verdicts)

    def logps(self, batches: Sequence[Sequence[Any]]) -> "Round[list[list[tuple[float, bool]]]]":
        return Round(self._file("logps", {"batches": batches}), _pack_logps, _unpack_logps)

    def _file(self, kind: str, what: Any) -> Path:
        text = json.dumps([kind, self._conditions, what], sort_keys=True, default=str)
        return self._folder / f"{kind}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def forget_rounds(folder: Path) -> None:
    """Removes the rounds of an evaluation that is over; its score is kept elsewhere."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


class Round(Generic[T]):
    """The file of one round. `pack` turns its result into plain values and arrays, `unpack` back."""

    def __init__(self, file: Path, pack: Callable[[T], "Packed"], unpack: Callable[["Packed"], T]) -> None:
        self._file = file
        self._pack = pack
        self._unpack = unpack

    def find(self) -> T | None:
        """The result, None if there is no whole and unchanged one."""
        try:
            frames = read_frames(self._file).frames
        except Damaged:
            return None
        if len(frames) != 1 or frames[0].header["name"] != self._file.name:
            return None
        arrays = frames[0].arrays
        return self._unpack(Packed(frames[0].header["value"], tuple(arrays[str(n)] for n in range(len(arrays)))))

    def keep(self, result: T) -> None:
        """Writes the result. Raises RunFailed if the disk does not take it."""
        value, arrays = self._pack(result)
        header = {"name": self._file.name, "value": value}
        frame = Frame(FrameKind.RESPONSES, header, {str(n): array for n, array in enumerate(arrays)})
        with translate_disk_errors(f"{UNFINISHED}/{self._file.name}"):
            write_whole(self._file, encoded(frame, 0))


class Packed(NamedTuple):
    """Plain values, and arrays of numbers."""

    value: Any
    arrays: tuple[np.ndarray[Any, Any], ...] = ()


def _pack_generations(drawn: list[list[Generation]]) -> Packed:
    flat = [g for generations in drawn for g in generations]
    shape = [
        [[g.stop, len(g.tokens), len(g.logps), None if g.entropies is None else len(g.entropies)] for g in gs]
        for gs in drawn
    ]
    return Packed(
        shape,
        (
            np.fromiter((t for g in flat for t in g.tokens), np.int64),
            np.fromiter((p for g in flat for p in g.logps), np.float64),
            np.fromiter((e for g in flat for e in g.entropies or ()), np.float64),
        ),
    )


def _unpack_generations(packed: Packed) -> list[list[Generation]]:
    token, logp, entropy = (iter(array.tolist()) for array in packed.arrays)

    def one(stop: Any, num_tokens: int, num_logps: int, num_entropies: int | None) -> Generation:
        tokens, logps = tuple(islice(token, num_tokens)), tuple(islice(logp, num_logps))
        return Generation(tokens, logps, stop, None if num_entropies is None else tuple(islice(entropy, num_entropies)))

    return [[one(*entry) for entry in generations] for generations in packed.value]


def _pack_verdicts(verdicts: list[Verdict]) -> Packed:
    return Packed([verdict_fields(v) for v in verdicts])


def _unpack_verdicts(packed: Packed) -> list[Verdict]:
    return [verdict_of(fields) for fields in packed.value]


def _pack_logps(scored: list[list[tuple[float, bool]]]) -> Packed:
    return Packed(scored)


def _unpack_logps(packed: Packed) -> list[list[tuple[float, bool]]]:
    return [[(logp, is_top) for logp, is_top in batch] for batch in packed.value]
