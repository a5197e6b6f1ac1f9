"""What an evaluation has sampled, judged and scored so far, kept on disk: an interrupted one continues where it stopped.

The work of a process is cut into rounds before it begins, so that a sample shares its batch with the same others whenever the
evaluation is interrupted: a resumed evaluation has the bits of an undisturbed one. A round is named by a hash of everything
that determines it, and its file is checked before it is used: one that is torn, damaged or misplaced is computed again.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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
"""As many rows as the embedded sampler decodes at once: with short responses, rounds of fewer would leave it half empty."""
TOKENS_PER_ROUND = 1 << 20
"""Most tokens of a round, if every response takes the longest allowed. More do not fit the embedded sampler's cache at once."""
TOKENS_PER_ENGINE_ROUND = 1 << 23
"""The same for a sampler with an engine of its own, which keeps hundreds of long responses in flight."""
CPU_OPERATIONS_PER_ROUND = 1e13
"""Most floating-point operations of a round on CPUs, which an interrupt loses at most: at 30 GFLOP/s a core, three minutes of
two cores."""
CPU_SAMPLES_PER_ROUND = 16
"""Fewer rows leave a CPU waiting for the weights; rounds are no smaller, whatever they take."""

UNFINISHED = "unfinished"
"""Folder of the rounds, beside the cache of scores."""


def rounds_of(items: Sequence[T], size: Callable[[T], int], most: int | None = None) -> list[list[T]]:
    """The items in order, cut into rounds of at most `most` together (SAMPLES_PER_ROUND), or of one item that is larger."""
    most = SAMPLES_PER_ROUND if most is None else most
    rounds: list[list[T]] = []
    total = 0
    for item in items:
        if not rounds or total + size(item) > most:
            rounds.append([])
            total = 0
        rounds[-1].append(item)
        total += size(item)
    return rounds


def samples_per_round(longest: int, *, parameters: int, on_cpu: bool, own_engine: bool = False) -> int:
    """Most samples of a round, given the tokens of the longest one and the model's number of parameters. A function of what
    determines an evaluation, never of a clock, so that an interrupted evaluation is cut as an undisturbed one. A question with
    more samples is a round of its own.

    A token takes 2 operations a parameter.
    """
    most = min(SAMPLES_PER_ROUND, (TOKENS_PER_ENGINE_ROUND if own_engine else TOKENS_PER_ROUND) // max(1, longest))
    if on_cpu and not own_engine:
        affordable = int(CPU_OPERATIONS_PER_ROUND / (2 * max(1, parameters) * max(1, longest)))
        most = min(most, max(CPU_SAMPLES_PER_ROUND, affordable))
    return max(1, most)


class KeptRounds:
    """Rounds in a folder; `conditions` is everything that determines a round besides its own items: the weights' hash,
    the sampler. Several processes may use the folder at once."""

    def __init__(self, folder: Path, conditions: Mapping[str, Any]) -> None:
        self._folder = folder
        self._conditions = conditions
        self._named: set[Path] = set()

    def forget(self) -> None:
        """Removes the rounds that were asked for here, of an evaluation that is over; those of other conditions stay."""
        for file in self._named:
            file.unlink(missing_ok=True)
        self._named.clear()
        with suppress(OSError):
            self._folder.rmdir()

    def generations(self, requests: Sequence[Request], decoding: Decoding) -> "Round[list[list[Generation]]]":
        what = {"decoding": asdict(decoding), "requests": [[r.context, r.seeds] for r in requests]}
        return Round(self._file("generations", what), _pack_generations, _unpack_generations)

    def verdicts(self, verifier: Mapping[str, Any], items: Sequence[tuple[str, str, bool]]) -> "Round[list[Verdict]]":
        return Round(self._file("verdicts", {"verifier": verifier, "items": items}), _pack_verdicts, _unpack_verdicts)

    def logps(self, batches: Sequence[Sequence[Any]]) -> "Round[list[list[tuple[float, bool]]]]":
        return Round(self._file("logps", {"batches": batches}), _pack_logps, _unpack_logps)

    def _file(self, kind: str, what: Any) -> Path:
        text = json.dumps([kind, self._conditions, what], sort_keys=True, default=str)
        file = self._folder / f"{kind}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
        self._named.add(file)
        return file


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
