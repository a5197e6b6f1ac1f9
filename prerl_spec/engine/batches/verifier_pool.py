"""A pool of worker processes that verify responses, so that no verifier can hang, crash or tamper with a run.

Every verdict has a deadline, enforced by the trainer with SIGKILL and a new process: an alarm inside the verifier can
be ignored or lost. What a timeout or an error means for training is not decided here.
"""

import inspect
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from prerl_spec.engine.batches.isolation import Isolation
from prerl_spec.engine.batches.verify_process import SECONDS_TO_START, WorkerProcess, active
from prerl_spec.engine.batches.verify_worker import frame
from prerl_spec.engine.batches.worker_needs import needs_of
from prerl_spec.errors import EnvironmentUnmet, RunFailed
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.types import Outcome, Verdict

Item = tuple[str, str, bool]
"""Response, gold answer, and whether the response was truncated."""

Judge = Callable[[Verifier, Sequence[Item]], list[Verdict]]
"""Maps a verifier and its items to one verdict per item, in order."""


@dataclass(frozen=True)
class _Retry:
    """A failure that the response may not have caused, to be retried once; `fault` is the verdict if it recurs."""

    fault: Verdict


class VerifierPool:
    """Verifies in `num_workers` long-lived processes; a context manager, entered once.

    `entry_value` is "module:Class" of the verifier's declaration, which each process imports and rebuilds from its
    settings. `isolation` is the strongest level that the machine allows; tests ask for each. Entering waits until every
    process is ready. Raises EnvironmentUnmet for a verifier that cannot be started.
    """

    def __init__(self, component: Verifier, *, entry_value: str, isolation: Isolation | None = None) -> None:
        self.entry_value = entry_value
        self._needs = needs_of(component, isolation)
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
        """Kills every process, even a busy one."""
        for worker in self._workers:
            worker.kill()
        self._workers = []

    def verify(self, items: Sequence[Item], progress: Callable[[int, int], None] | None = None) -> list[Verdict]:
        """One verdict per item, in order; a truncated response is unparsable without being verified.

        After a timeout, or if a worker ran out of memory after earlier items, the item is retried once in a new
        process. Raises RunFailed if the verifier can no longer be started. `progress(done, total)` counts verdicts.
        """
        verdicts: dict[int, Verdict] = {
            i: Verdict(Outcome.UNPARSABLE, 0.0, detail="cut off before its end")
            for i, (_, _, truncated) in enumerate(items)
            if truncated
        }
        retries: list[int] = []
        try:
            self._fill()
            for place, result in self._judge(items, [i for i in range(len(items)) if i not in verdicts], self._workers):
                if isinstance(result, _Retry):
                    retries.append(place)
                    continue
                verdicts[place] = result
                if progress is not None:
                    progress(len(verdicts), len(items))
            for place in retries:
                for _, result in self._judge(items, [place], [self._fresh()]):
                    verdicts[place] = result.fault if isinstance(result, _Retry) else result
                if progress is not None:
                    progress(len(verdicts), len(items))
        finally:
            for worker in self._workers:
                if worker.place is not None:
                    worker.kill()
        return [verdicts[i] for i in range(len(items))]

    def _judge(
        self, items: Sequence[Item], places: Sequence[int], workers: list[WorkerProcess]
    ) -> Iterator[tuple[int, Verdict | _Retry]]:
        """Yields results as they arrive, each with the index of its item."""
        waiting = deque(places)
        unfinished = len(waiting)
        while unfinished:
            for worker in workers:
                if waiting and worker.is_idle:
                    place = waiting.popleft()
                    worker.submit(place, *items[place][:2], self._seconds_allowed)
            for worker in active(workers):
                worker.exchange()
            for slot, worker in enumerate(workers):
                finished = worker.place
                result = self._result(worker)
                if result is not None:
                    assert finished is not None, "only a worker with an item has a result"
                    unfinished -= 1
                    yield finished, result
                if worker.is_over and unfinished:
                    workers[slot] = self._replace(worker)

    def _result(self, worker: WorkerProcess) -> Verdict | _Retry | None:
        """The result of the worker's item, None if it has no item or is still busy."""
        self._check_start(worker)
        if worker.place is None:
            return None
        result = self._outcome(worker)
        if result is not None:
            worker.finish()
        return result

    def _outcome(self, worker: WorkerProcess) -> Verdict | _Retry | None:
        if worker.fault is not None:
            return _error(worker.fault)
        if worker.reply is None:
            if time.monotonic() <= worker.deadline:
                return None
            worker.kill()
            detail = f"no verdict after {self._seconds_allowed:g} s, twice"
            return _Retry(Verdict(Outcome.TIMEOUT, None, detail=detail))
        if worker.reply.get("out_of_memory") is True:
            worker.kill()
            # Earlier items may have used up the memory.
            return _Retry(_error("MemoryError")) if worker.num_verified else _error("MemoryError")
        verdict = read_verdict(worker.reply)
        if verdict is None:
            worker.kill()
            return _error("the worker's reply is not a verdict")
        return verdict

    def _fill(self) -> None:
        self._workers = [w for w in self._workers if not w.is_over]
        while len(self._workers) < self._num_workers:
            self._workers.append(WorkerProcess(self._opening, self._needs))

    def _replace(self, worker: WorkerProcess) -> WorkerProcess:
        worker.kill()
        fresh = WorkerProcess(self._opening, self._needs)
        self._workers[self._workers.index(worker)] = fresh
        return fresh

    def _fresh(self) -> WorkerProcess:
        """A ready worker that has not verified anything yet."""
        worker = self._workers[0]
        if worker.is_over or worker.num_verified:
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
        """Raises RunFailed for a worker that failed before it was ready, or is not ready in time."""
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
            hint="to debug it, import the class and call warm_up() and judge(…) in a fresh interpreter; "
            "if memory is short, raise memory_mb",
        )


def read_verdict(message: Mapping[str, Any]) -> Verdict | None:
    """The verdict in a worker's reply, None if it is invalid: an unknown outcome, a score outside [0, 1]."""
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
