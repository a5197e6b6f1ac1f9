"""A pool of processes that judge responses, so that no verifier can hang, crash, poison or fool a run.

Every verdict has a deadline that the trainer's side keeps, with SIGKILL and a new process: an alarm inside the verifier
can be ignored or lost. What a timeout or an error means for training is not decided here.
"""

import inspect
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from prerl_spec.engine.batches.verify_process import SECONDS_TO_START, WorkerProcess, active
from prerl_spec.engine.batches.verify_worker import frame
from prerl_spec.errors import EnvironmentUnmet, RunFailed
from prerl_spec.registry.kinds import Verifier
from prerl_spec.types import Outcome, Verdict

Item = tuple[str, str, bool]
"""Response, gold answer, and whether the response was cut off."""

Judge = Callable[[Verifier, Sequence[Item]], list[Verdict]]
"""One verdict of a verifier an item, in order."""


@dataclass(frozen=True)
class _Again:
    """A verdict that failed in a way that may not be the response's doing; `fault` is it if that happens again."""

    fault: Verdict


class VerifierPool:
    """Judges through `num_workers` long-lived processes; a context manager, entered once.

    `entry_value` is "module:Class" of the verifier's declaration, which each process imports and rebuilds from its
    settings. Entering waits until every process is warm. Raises EnvironmentUnmet for a verifier that cannot be started.
    """

    def __init__(self, component: Verifier, *, entry_value: str) -> None:
        self.entry_value = entry_value
        self._num_workers = component.num_workers
        self._seconds_allowed = component.seconds_allowed
        self._opening = frame(
            {
                "entry_value": entry_value,
                "file": inspect.getsourcefile(type(component)),
                "settings": component.settings(),
                "memory_bytes": component.memory_bytes,
            }
        )
        self._workers: list[WorkerProcess] = []

    def __enter__(self) -> Self:
        try:
            self._fill()
            self._await_ready(self._workers)
        except RunFailed as failure:
            self.close()
            raise EnvironmentUnmet(failure.message, hint=failure.hint) from failure
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every process, whatever it is doing."""
        for worker in self._workers:
            worker.kill()
        self._workers = []

    def verify(self, items: Sequence[Item], progress: Callable[[int, int], None] | None = None) -> list[Verdict]:
        """One verdict an item, in order; a response that was cut off is unparsable without being asked about.

        A timeout, or a worker that ran out of memory after other work, is tried once more alone in a new process.
        Raises RunFailed when the verifier can no longer be started. `progress(done, total)` counts verdicts.
        """
        verdicts: dict[int, Verdict] = {
            i: Verdict(Outcome.UNPARSABLE, 0.0, detail="cut off before its end")
            for i, (_, _, truncated) in enumerate(items)
            if truncated
        }
        again: list[int] = []
        try:
            self._fill()
            for place, result in self._judge(items, [i for i in range(len(items)) if i not in verdicts], self._workers):
                if isinstance(result, _Again):
                    again.append(place)
                    continue
                verdicts[place] = result
                if progress is not None:
                    progress(len(verdicts), len(items))
            for place in again:
                for _, result in self._judge(items, [place], [self._fresh()]):
                    verdicts[place] = result.fault if isinstance(result, _Again) else result
                if progress is not None:
                    progress(len(verdicts), len(items))
        finally:
            for worker in self._workers:
                if worker.place is not None:
                    worker.kill()
        return [verdicts[i] for i in range(len(items))]

    def _judge(
        self, items: Sequence[Item], places: Sequence[int], workers: list[WorkerProcess]
    ) -> Iterator[tuple[int, Verdict | _Again]]:
        """Results as they come in, each with its item's place."""
        waiting = deque(places)
        unfinished = len(waiting)
        while unfinished:
            for worker in workers:
                if waiting and worker.is_idle:
                    place = waiting.popleft()
                    worker.ask(place, *items[place][:2], self._seconds_allowed)
            for worker in active(workers):
                worker.exchange()
            for slot, worker in enumerate(workers):
                place_asked = worker.place
                result = self._result(worker)
                if result is not None:
                    assert place_asked is not None, "only a worker that was asked has a result"
                    unfinished -= 1
                    yield place_asked, result
                if worker.is_over and unfinished:
                    workers[slot] = self._replace(worker)

    def _result(self, worker: WorkerProcess) -> Verdict | _Again | None:
        """What came of the item that the worker was asked about, None while it is still at work."""
        self._check_start(worker)
        if worker.place is None:
            return None
        result = self._finding(worker)
        if result is not None:
            worker.finish()
        return result

    def _finding(self, worker: WorkerProcess) -> Verdict | _Again | None:
        if worker.fault is not None:
            return _error(worker.fault)
        if worker.answer is None:
            if time.monotonic() <= worker.deadline:
                return None
            worker.kill()
            detail = f"no verdict after {self._seconds_allowed:g} s, twice"
            return _Again(Verdict(Outcome.TIMEOUT, None, detail=detail))
        if worker.answer.get("out_of_memory") is True:
            worker.kill()
            # Earlier items may have used the memory up.
            return _Again(_error("MemoryError")) if worker.num_judged else _error("MemoryError")
        verdict = read_verdict(worker.answer)
        if verdict is None:
            worker.kill()
            return _error("the worker's answer is not a verdict")
        return verdict

    def _fill(self) -> None:
        self._workers = [w for w in self._workers if not w.is_over]
        while len(self._workers) < self._num_workers:
            self._workers.append(WorkerProcess(self._opening))

    def _replace(self, worker: WorkerProcess) -> WorkerProcess:
        worker.kill()
        fresh = WorkerProcess(self._opening)
        self._workers[self._workers.index(worker)] = fresh
        return fresh

    def _fresh(self) -> WorkerProcess:
        """A warm worker that has judged nothing yet."""
        worker = self._workers[0]
        if worker.is_over or worker.num_judged:
            worker = self._replace(worker)
        self._await_ready([worker])
        return worker

    def _await_ready(self, workers: Sequence[WorkerProcess]) -> None:
        while not all(worker.is_ready for worker in workers):
            for worker in active([w for w in workers if not w.is_ready]):
                worker.exchange()
            for worker in workers:
                self._check_start(worker)

    def _check_start(self, worker: WorkerProcess) -> None:
        """Raises RunFailed for a worker that failed before it was ready, or takes too long."""
        if worker.is_ready:
            return
        if worker.fault is None and time.monotonic() > worker.deadline:
            worker.kill()
            worker.fault = f"it was not ready after {SECONDS_TO_START:g} s"
        if worker.fault is not None:
            raise self._cannot_start(worker.fault)

    def _cannot_start(self, fault: str) -> RunFailed:
        return RunFailed(
            f"verifier {self.entry_value} cannot be started in a worker process: {fault}",
            hint="import the class and call its warm_up() and judge(…) in a fresh interpreter; "
            "where memory is short, raise memory_mb",
        )


def read_verdict(message: Mapping[str, Any]) -> Verdict | None:
    """The verdict in a worker's answer, None where it holds none: an unknown outcome, a score outside [0, 1]."""
    outcome, score, answer, detail = (message.get(key) for key in ("outcome", "score", "answer", "detail"))
    if outcome not in set(Outcome) or not isinstance(detail, str) or not isinstance(answer, str | None):
        return None
    if outcome in (Outcome.TIMEOUT, Outcome.ERROR):
        return Verdict(Outcome(outcome), None, answer, detail)
    if not isinstance(score, float) or not math.isfinite(score) or not 0 <= score <= 1:
        return None
    return Verdict(Outcome(outcome), score, answer, detail)


def _error(detail: str) -> Verdict:
    return Verdict(Outcome.ERROR, None, detail=detail)
