"""Kills, crashes and damages runs of a spec on purpose, and compares each with an undisturbed run."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from prerl_spec.compiler.graph import Graph
from prerl_spec.engine.inspect.fsck import check_run
from prerl_spec.engine.record.checkpoint import problems
from prerl_spec.engine.torture.crash_model import CrashModel, Step
from prerl_spec.engine.torture.forked_run import Ended, run_forked
from prerl_spec.engine.torture.outcome import outcome
from prerl_spec.errors import PrerlError, RunFailed
from prerl_spec.storage.chained_lines import read_lines
from prerl_spec.storage.disk import Operation
from prerl_spec.storage.frames import Frame, FrameKind, encoded, read_frames

_SPOOL = "operations.spool"


@dataclass(frozen=True)
class Trial:
    """One disturbance: what was done, and whether the run came to the same; `why` says what was seen instead."""

    what: str
    identical: bool
    why: str = ""


class Torture:
    """Disturbed runs of one graph below the folder `work`, beside one that was left alone."""

    def __init__(self, graph: Graph, work: Path, seed: int) -> None:
        self._graph = graph
        self._work = work
        self._seed = seed
        self.seconds = 0.0
        """Of the undisturbed run."""
        self._expected = ""
        self._steps: list[Step] = []

    def run_undisturbed(self) -> int:
        """Runs once without disturbance and notes its storage operations; returns their number. Raises RunFailed."""
        folder = self._work / "undisturbed"
        recorder = _Recorder(folder, self._work / _SPOOL)
        ended = run_forked(self._graph, folder, observer=recorder)
        found = outcome(folder, self._graph.run.name)
        if ended.code != 0 or found is None:
            raise RunFailed(f"the undisturbed run ended with exit code {ended.code}: {ended.said}")
        self.seconds, self._expected = ended.seconds, found
        self._steps = [_step(frame) for frame in read_frames(self._work / _SPOOL).frames]
        return len(self._steps)

    def kill(self, number: int) -> Trial:
        """Starts a run, kills it with SIGKILL at a random time, resumes it to the end."""
        moment = self._random("kill", number).uniform(0.0, self.seconds)
        folder = self._fresh(f"kill-{number}")
        first = run_forked(self._graph, folder, kill_after=moment)
        return self._finish(f"kill {number}: SIGKILL after {moment:.2f} s (exit {first.code})", folder)

    def crash(self, number: int) -> Trial:
        """The machine stops before storage operation `number`; what was not synced survives in a random subset."""
        folder = self._fresh(f"crash-{number}")
        done = self._steps[:number]
        CrashModel(done).write_crashed(folder, self._random("crash", number))
        before = "the end" if number == len(self._steps) else _words(self._steps[number].operation)
        what = f"crash {number}: before {before}"
        if lost := _lost(done, folder):
            return Trial(what, False, f"{lost}, which was committed")
        return self._finish(what, folder)

    def flips(self, count: int) -> Iterator[tuple[str, bool]]:
        """Flips single bits in copies of the finished run's files, one at a time: (file, whether `fsck` saw it)."""
        name = self._graph.run.name
        original, copy = self._work / "undisturbed" / name, self._work / "flipped"
        shutil.copytree(original, copy)
        files = [f for f in sorted(copy.rglob("*")) if f.is_file() and _is_read_again(f.relative_to(copy))]
        random = self._random("flips")
        for _ in range(count):
            file = random.choice(files)
            content = bytearray(file.read_bytes())
            before = bytes(content)
            content[random.randrange(len(content))] ^= 1 << random.randrange(8)
            file.write_bytes(content)
            seen = any(finding.state != "ok" for finding in check_run(copy))
            file.write_bytes(before)
            yield file.relative_to(copy).as_posix(), seen

    def _finish(self, what: str, folder: Path) -> Trial:
        ended = run_forked(self._graph, folder)
        trial = self._compared(what, folder, ended)
        if trial.identical:
            shutil.rmtree(folder)
        return trial

    def _compared(self, what: str, folder: Path, ended: Ended) -> Trial:
        if ended.code != 0:
            return Trial(what, False, f"the resumed run ended with exit code {ended.code}: {ended.said}")
        try:
            found = outcome(folder, self._graph.run.name)
        except PrerlError as error:
            return Trial(what, False, error.message)
        return Trial(what, found == self._expected, "" if found == self._expected else "another outcome")

    def _fresh(self, name: str) -> Path:
        folder = self._work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _random(self, *what: str | int) -> Random:
        return Random(f"{self._seed} {' '.join(map(str, what))}")


class _Recorder:
    """Writes each storage operation of a child to a spool file, with the whole content of a file at its sync."""

    def __init__(self, root: Path, spool: Path) -> None:
        self._root = root
        self._spool = spool
        self._count = 0

    def __call__(self, operation: Operation) -> None:
        seen = operation.path.read_bytes() if operation.kind == "sync" else b""
        header = {
            "kind": operation.kind,
            "path": operation.path.relative_to(self._root).as_posix(),
            "data": operation.data,
            "size": operation.size,
            "target": "" if operation.target is None else operation.target.relative_to(self._root).as_posix(),
            "seen": seen,
        }
        with self._spool.open("ab") as file:
            file.write(encoded(Frame(FrameKind.OPERATION, header), self._count))
        self._count += 1


def _step(frame: Frame) -> Step:
    header = frame.header
    target = Path(header["target"]) if header["target"] else None
    operation = Operation(header["kind"], Path(header["path"]), header["data"], header["size"], target)
    return Step(operation, header["seen"] if operation.kind == "sync" else None)


def _lost(done: Sequence[Step], folder: Path) -> str | None:
    """What these operations had made durable and the crashed folder lacks: a checkpoint, or a line of the log."""
    lines: Counter[Path] = Counter()
    written: Counter[Path] = Counter()
    checkpoints: set[Path] = set()
    renamed: set[Path] = set()
    for operation, _ in done:
        path = operation.path
        if operation.kind == "append" and path.name == "events.jsonl":
            written[path] += 1
        elif operation.kind == "sync" and path in written:
            lines[path] = written[path]
        elif operation.kind == "rename" and operation.target is not None and operation.target.name.startswith("step-"):
            renamed.add(operation.target)
        elif operation.kind == "sync_folder":
            checkpoints |= {target for target in renamed if target.parent == path}
        elif operation.kind == "remove":
            checkpoints.discard(path)
    for path, count in lines.items():
        if len(read_lines(folder / path).entries) < count and _is_named(done, path):
            return f"a line of {path} is lost"
    for path in sorted(checkpoints):
        if problems(folder / path):
            return f"{path} is lost"
    return None


def _is_named(done: Sequence[Step], path: Path) -> bool:
    """Whether the folder was synced after the file got its name."""
    first = next(n for n, (operation, _) in enumerate(done) if operation.path == path)
    return any(o.kind == "sync_folder" and o.path == path.parent for o, _ in done[first:])


def _words(operation: Operation) -> str:
    return f"{operation.kind} {operation.path}"


def _is_read_again(path: Path) -> bool:
    """Whether a run reads the file again, so that `fsck` must see every byte of it."""
    top = path.parts[0]
    if top in ("journal", "checkpoints"):
        return True
    return path.as_posix() in ("plan.json", "manifest.json", "events.jsonl", "scores.json") or (
        top == "evaluation" and path.parts[1] in ("cache", "questions")
    )
