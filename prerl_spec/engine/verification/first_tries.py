"""The first tries of a batch's items, made while the batch still grows: in a thread beside the caller's own work, or when the
caller waits for them.

The thread only waits for sockets and hands out items, so that workers are busy however seldom the caller looks. It starts no
process: the kernel tells a worker's keeper that its trainer has gone when the thread that started it ends.
"""

from collections import deque
from collections.abc import Generator, Mapping
from threading import Event, Thread
from types import TracebackType
from typing import Self

from prerl_spec.engine.verification.waker import Waker
from prerl_spec.engine.verification.worker_set import Queue, Reply, Result, Try, WorkerSet

SHORT_TRY = 1 / 40
"""Share of the deadline that a first try has, or TIMES_THE_MEAN times the mean of what the pool's replies have taken."""
TIMES_THE_MEAN = 5
WORTH_SECONDS = 1e-3
"""If replies take less on average, handing items out beside the caller's work costs him more than it saves: a third of a
millisecond each, measured."""
SECONDS_TO_BEGIN = 1.0
"""A thread that is not alive by then has never been started."""


class Pace:
    """How long replies take, and so how long a first try may. Learns from those that the caller waits for: one that comes
    beside his work is read when the thread gets a turn, milliseconds late."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._sum = 0.0
        self._count = 0

    def learn(self, seconds: float) -> None:
        self._sum += seconds
        self._count += 1

    def short_try(self) -> float:
        return min(self._deadline, max(self._deadline * SHORT_TRY, TIMES_THE_MEAN * self._mean))

    @property
    def is_worth_a_thread(self) -> bool:
        """Whether replies take so long that the caller should not wait for them; not before the first is known."""
        return self._mean >= WORTH_SECONDS

    @property
    def _mean(self) -> float:
        return self._sum / self._count if self._count else 0.0


class FirstTries:
    """The first tries of one batch, by the workers of a pool that nobody else uses meanwhile; a context manager, at whose end
    a worker that is still busy is killed. So many workers as `beside` says may be busy beside the caller's own work."""

    def __init__(self, workers: WorkerSet, pace: Pace, *, beside: int) -> None:
        self._workers = workers
        self._pace = pace
        self._beside = beside
        self._queue = Queue(deque())
        self._arrived: deque[tuple[int, Result]] = deque()
        self._thread: Thread | None = None
        self._waker: Waker | None = None
        self._ended = Event()
        self._stops = False
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._workers.give_up()

    def add(self, place: int, request: Mapping[str, str]) -> None:
        """An item more. Not after `rest`."""
        self._queue.of_any.append(Try(place, request, self._pace.short_try))
        if self._beside == 0 or self._failure is not None:
            return
        if self._thread is None:
            if self._pace.is_worth_a_thread:
                self._begin()
        elif not self._thread.is_alive():
            self._begin()
        elif self._waker is not None:
            self._waker.wake()

    def rest(self) -> Generator[tuple[int, Result], None, None]:
        """Every result, as it arrives; those that have arrived by now first. Raises RunFailed if the verifier can no longer
        be started."""
        self._stop()
        if self._failure is not None:
            raise self._failure
        yield from self._arrived
        for tried, result, number in self._workers.results(self._queue):
            if isinstance(result, Reply):
                self._pace.learn(result.seconds)
            self._renew_spent(result, number)
            yield tried.place, result

    def _begin(self) -> None:
        """Starts the thread, again if a worker had to be replaced."""
        self._stop()
        self._stops = False
        self._workers.begin(self._queue)
        self._waker, self._ended = Waker(), Event()
        self._thread = Thread(target=self._work, args=(self._waker, self._ended), name="verdicts", daemon=True)
        self._thread.start()

    def _stop(self) -> None:
        """Ends the thread; what it has begun goes on."""
        self._stops = True
        if self._thread is not None and self._waker is not None:
            self._waker.wake()
            # Not `join` first: up to Python 3.12 a join that a signal interrupts says of a thread that it has ended.
            while not self._ended.wait(SECONDS_TO_BEGIN) and self._thread.is_alive():
                pass
            if self._thread.is_alive():
                self._thread.join()
            self._waker.close()
        self._thread = self._waker = None

    def _work(self, waker: Waker, ended: Event) -> None:
        try:
            while not self._stops and not self._workers.lacks_one(self._queue):
                for tried, result, number in self._workers.round(self._queue, waker, most=self._beside):
                    self._renew_spent(result, number)
                    self._arrived.append((tried.place, result))
        except BaseException as failure:  # raised where the results are asked for
            self._failure = failure
        finally:
            ended.set()

    def _renew_spent(self, result: Result, number: int) -> None:
        """Renews a worker that is out of memory."""
        if isinstance(result, Reply) and result.is_out_of_memory:
            self._workers.renew(number)
