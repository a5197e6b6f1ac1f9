"""The worker processes of one verifier: started, given one request at a time each, renewed after a missed deadline, killed.

What a missed deadline or an end of a worker means is not decided here.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prerl_spec.engine.verification.verify_process import SECONDS_TO_START, WorkerProcess, active
from prerl_spec.engine.verification.waker import Waker
from prerl_spec.engine.verification.worker_needs import WorkerNeeds
from prerl_spec.errors import RunFailed


@dataclass(frozen=True)
class Try:
    """A request to a worker for the item at `place`; `seconds()` is asked when it is made. `fresh`: only of a copy or process
    that has judged nothing before."""

    place: int
    request: Mapping[str, str]
    seconds: Callable[[], float]
    fresh: bool = False


@dataclass(frozen=True)
class Reply:
    """What a worker has replied, after so many seconds. `was_fresh`: it had judged nothing before."""

    message: Mapping[str, Any]
    seconds: float
    was_fresh: bool

    @property
    def is_out_of_memory(self) -> bool:
        return self.message.get("out_of_memory") is True


@dataclass(frozen=True)
class Late:
    """No reply in these seconds; the worker has been renewed."""

    seconds: float


@dataclass(frozen=True)
class Ended:
    """The worker has ended, or broke the protocol."""

    cause: str


Result = Reply | Late | Ended


@dataclass
class Queue:
    """The tries to be made: by any worker, and those that one worker makes next (by its number). Whoever receives results
    may add to both; another thread, to the first."""

    of_any: deque[Try]
    of_worker: dict[int, Try] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.of_any and not self.of_worker


class WorkerSet:
    """`num_workers` processes that `opening` describes, isolated as `needs` says; `name` is the verifier's, for errors."""

    def __init__(self, opening: bytes, needs: WorkerNeeds, num_workers: int, name: str) -> None:
        self._opening = opening
        self._needs = needs
        self._num_workers = num_workers
        self._name = name
        self._workers: list[WorkerProcess] = []
        self._tries: dict[int, Try] = {}
        """What busy workers have in hand, by their numbers."""

    def start(self) -> None:
        """Waits until every process is ready. Raises RunFailed for one that cannot be started."""
        self._fill()
        while not all(worker.is_ready for worker in self._workers):
            for worker in active([w for w in self._workers if not w.is_ready]):
                worker.exchange()
            for worker in self._workers:
                self._check_start(worker)

    def close(self) -> None:
        """Kills every process, even a busy one."""
        for worker in self._workers:
            worker.kill()
        self._workers = []

    @contextmanager
    def extended(self, number: int) -> Iterator[None]:
        """With `number` processes instead, if these are more. One of them that cannot be started is done without."""
        self._fill()
        self._workers += [WorkerProcess(self._opening, self._needs) for _ in range(number - len(self._workers))]
        try:
            yield
        finally:
            for worker in self._workers[self._num_workers :]:
                worker.kill()
            del self._workers[self._num_workers :]

    def begin(self, queue: Queue) -> None:
        """Before the first round of a queue, or when `lacks_one`: starts the workers that are missing, without waiting."""
        if self._tries:
            self._replace_ended(queue)
        else:
            self._fill()

    def lacks_one(self, queue: Queue) -> bool:
        """Whether a worker must be started for what is queued."""
        return bool(self._missing(queue))

    def results(self, queue: Queue) -> Iterator[tuple[Try, Result, int]]:
        """Empties the queue: results as they arrive, each with its try and the worker's number. A worker that is busy when
        the iteration is given up is killed. Raises RunFailed if the verifier can no longer be started."""
        self.begin(queue)
        try:
            while not queue.is_empty or self._tries:
                yield from self.round(queue)
                self._replace_ended(queue)
            self._await_renewed()
        finally:
            self.give_up()

    def round(
        self, queue: Queue, waker: Waker | None = None, *, most: int | None = None
    ) -> Iterator[tuple[Try, Result, int]]:
        """Hands out what is queued, to at most `most` workers at once, waits until one replies or is late, and yields what
        there is then. With a waker it also ends when that wakes, and waits for it alone if no worker is busy."""
        self._submit(queue, len(self._workers) if most is None else most)
        for worker in active(self._workers, waker):
            worker.exchange()
        for number, worker in enumerate(self._workers):
            self._check_start(worker)
            if number in self._tries and (result := self._result(worker)) is not None:
                yield self._tries.pop(number), result, number

    def give_up(self) -> None:
        """Kills the workers that are busy."""
        for worker in self._workers:
            if worker.place is not None:
                worker.kill()
        self._tries.clear()

    def _submit(self, queue: Queue, most: int) -> None:
        for number, worker in enumerate(self._workers):
            if not worker.is_idle or len(self._tries) >= most:
                continue
            upcoming = queue.of_worker.get(number) or (queue.of_any[0] if queue.of_any else None)
            if upcoming is None:
                continue
            if upcoming.fresh and not worker.is_fresh:
                if not worker.renew():
                    worker.kill()
                continue
            if queue.of_worker.pop(number, None) is None:
                queue.of_any.popleft()
            self._tries[number] = upcoming
            worker.submit(upcoming.place, upcoming.request, upcoming.seconds())

    def _result(self, worker: WorkerProcess) -> Result | None:
        """The result of the worker's item, None if it is still busy."""
        is_late = worker.fault is None and worker.reply is None and worker.is_out_of_time()
        if is_late:
            # Its reply may have come while this thread had no turn.
            worker.exchange()
        if worker.fault is not None:
            worker.finish()
            return Ended(worker.fault)
        if worker.reply is not None:
            reply = Reply(worker.reply, worker.seconds_taken, worker.is_fresh)
            worker.finish()
            return reply
        if not is_late:
            return None
        late = Late(worker.seconds_allowed)
        if not worker.renew():
            worker.kill()
            worker.finish()
        return late

    def renew(self, number: int) -> None:
        """Renews an idle worker, as a whole if need be."""
        if not self._workers[number].renew():
            self._workers[number].kill()

    def _fill(self) -> None:
        self._workers = [w for w in self._workers if not w.is_over]
        while len(self._workers) < self._num_workers:
            self._workers.append(WorkerProcess(self._opening, self._needs))

    def _await_renewed(self) -> None:
        """A worker that ends instead of being renewed has left processes behind, which are killed when its end is seen."""
        while renewing := [w for w in self._workers if w.has_served and not w.is_ready and not w.is_over]:
            for worker in active(renewing):
                worker.exchange()
            for worker in renewing:
                self._check_start(worker)

    def _replace_ended(self, queue: Queue) -> None:
        for number in self._missing(queue):
            self._workers[number] = WorkerProcess(self._opening, self._needs)

    def _missing(self, queue: Queue) -> list[int]:
        """The workers to be replaced, if there is something to do; one beyond `num_workers` if one of its kind has been
        ready."""
        if queue.is_empty:
            return []
        return [
            number
            for number, worker in enumerate(self._workers)
            if worker.is_over and (number < self._num_workers or worker.has_served)
        ]

    def _check_start(self, worker: WorkerProcess) -> None:
        """Raises RunFailed for a worker that has never been ready and has failed, or is not ready in time."""
        if worker.is_ready or (worker.is_over and worker.fault is None):
            return
        if worker.fault is None and time.monotonic() > worker.deadline:
            worker.kill()
            worker.fault = f"it was not ready after {SECONDS_TO_START:g} s"
        if worker.fault is not None and not worker.has_served and worker in self._workers[: self._num_workers]:
            raise RunFailed(
                f"verifier {self._name} cannot be started in a worker process: {worker.fault}",
                hint="to debug it, import the class and call warm_up() and judge(…) in a fresh interpreter; "
                "if memory is short, raise memory_mb",
            )
