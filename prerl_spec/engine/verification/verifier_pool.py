"""A pool of worker processes that verify responses, so that no verifier can hang, crash or tamper with a run.

Every verdict has a deadline, enforced by the trainer with SIGKILL: an alarm inside the verifier can be ignored or lost. It
counts the time in which the worker ran or slept of its own accord, so that the machine's load decides nothing. First tries are
short, lest a few answers that keep a parser busy hold up the batch; what counts is the second try, after the batch.
"""

import inspect
import os
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from prerl_spec.engine.verification.first_tries import FirstTries, Pace
from prerl_spec.engine.verification.isolation import Isolation
from prerl_spec.engine.verification.verdict_batch import Item, Progress, VerdictBatch, is_worth_another, judging
from prerl_spec.engine.verification.verify_worker import GOLD, JUDGE
from prerl_spec.engine.verification.worker_needs import needs_of
from prerl_spec.engine.verification.worker_set import Ended, Late, Queue, Reply, Result, Try, WorkerSet
from prerl_spec.errors import EnvironmentUnmet, RunFailed
from prerl_spec.process.json_frames import frame
from prerl_spec.registry.kinds.judging import Exemplified, TimeoutPolicy, Verifier
from prerl_spec.types import Outcome, Verdict

Judge = Callable[[Verifier, Sequence[Item]], list[Verdict]]
"""Maps a verifier and its items to one verdict per item, in order."""

GoldCheck = Callable[[Verifier, Sequence[str], Progress | None], list[str | None]]
"""Maps a verifier and gold answers to the reason why each cannot be used, None where it can, in order."""

SECOND_TRIES = 2
"""So many deadlines of one process may the second tries of a batch take together, each with an equal share of what all
processes have: the whole deadline where few answers are late, and no less than a first try."""
MAX_PROCESSES = 4
"""Second tries use as many processes as there are cores, at most so many (a hundred megabytes each), or the spec's number."""
OWN_FAULTS = 2
"""So many times may the verifier's own example time out before the other second tries of the batch are given up."""


class VerifierPool:
    """Verifies in `num_workers` long-lived processes; a context manager, entered once.

    `entry_value` is "module:Class" of the verifier's declaration, which each process imports and rebuilds from its
    settings. `isolation` is the strongest level that the machine allows; tests ask for each. Entering waits until every
    process is ready. Raises EnvironmentUnmet for a verifier that cannot be started.
    """

    def __init__(self, component: Verifier, *, entry_value: str, isolation: Isolation | None = None) -> None:
        self.entry_value = entry_value
        self._num_workers = component.num_workers
        self._deadline = component.seconds_allowed
        self._example = component.right_example if isinstance(component, Exemplified) else None
        self._trains_timeouts = isinstance(component, TimeoutPolicy) and component.on_timeout == "unparsable"
        opening = frame(
            {
                "entry_value": entry_value,
                "file": inspect.getsourcefile(type(component)),
                "settings": component.settings(),
                "memory_bytes": component.memory_bytes,
            }
        )
        self._workers = WorkerSet(opening, needs_of(component, isolation), component.num_workers, entry_value)
        self._pace = {JUDGE: Pace(self._deadline), GOLD: Pace(self._deadline)}

    def __enter__(self) -> Self:
        try:
            self._workers.start()
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
        self._workers.close()

    def verify(self, items: Sequence[Item], progress: Progress | None = None) -> list[Verdict]:
        """One verdict per item, in order; a truncated response is unparsable without being verified.

        After a timeout, or if a worker ran out of memory after earlier items, the item is tried once more in a fresh
        process, when all others are done. A timeout that happens again is the answer's doing if the same worker then judges
        the verifier's own `right_example` in time. Raises RunFailed if the verifier can no longer be started.
        `progress(done, total)` counts verdicts.
        """
        with self.batch() as batch:
            for place, item in enumerate(items):
                batch.ask(place, item)
            verdicts = batch.verdicts(progress)
        return [verdicts[place] for place in range(len(items))]

    def batch(self, *, beside: int = 0) -> VerdictBatch:
        """The same for items that come one at a time: their first tries begin at once, beside what the caller does, with so
        many workers as `beside` says; with none, when he waits for them. One batch at a time."""
        first = FirstTries(self._workers, self._pace[JUDGE], beside=beside)
        return VerdictBatch(first, self._verdict, self._second_verdicts)

    def check_golds(self, golds: Sequence[str], progress: Progress | None = None) -> list[str | None]:
        """For each gold answer, the reason why it cannot be used, None if it can: what the verifier's `check_gold` says, an
        error of it, or that it takes longer than the deadline. Equal ones are checked once. Raises RunFailed."""
        distinct = list(dict.fromkeys(golds))
        requests = {i: {"kind": GOLD, "gold": gold} for i, gold in enumerate(distinct)}
        reasons: dict[str, str | None] = {}

        def decide(place: int, result: Result) -> None:
            reasons[distinct[place]] = _refusal(result)
            if progress is not None:
                progress(len(reasons), len(distinct))

        late: list[int] = []
        with FirstTries(self._workers, self._pace[GOLD], beside=0) as first:
            for place, request in requests.items():
                first.add(place, request)
            for place, result in first.rest():
                if is_worth_another(result):
                    late.append(place)
                else:
                    decide(place, result)
        if late:
            again = deque(Try(i, requests[i], lambda: self._deadline, fresh=True) for i in sorted(late))
            with self._workers.extended(self._num_processes(len(late))):
                for tried, result, _ in self._workers.results(Queue(again)):
                    decide(tried.place, result)
        return [reasons[gold] for gold in golds]

    def _second_verdicts(self, requests: Mapping[int, Mapping[str, str]]) -> Generator[tuple[int, Verdict], None, None]:
        """Tries each item again. The worker of one that is late once more judges the verifier's example next."""
        with self._workers.extended(self._num_processes(len(requests))):
            yield from self._tried_again(requests)

    def _tried_again(self, requests: Mapping[int, Mapping[str, str]]) -> Generator[tuple[int, Verdict], None, None]:
        own_faults = 0
        share = self._deadline * SECOND_TRIES * self._num_processes(len(requests)) / len(requests)
        allowed = min(self._deadline, max(share, self._pace[JUDGE].short_try()))
        queue = Queue(deque(Try(i, request, lambda: allowed, fresh=True) for i, request in requests.items()))
        blamed: dict[int, Late] = {}
        for tried, result, number in self._workers.results(queue):
            place = tried.place
            if place in blamed:
                judged_in_time = isinstance(result, Reply) and not self._verdict(result).is_fault
                own_faults += not judged_in_time
                yield place, self._timeout(blamed[place], by_answer=judged_in_time)
            elif isinstance(result, Late):
                if self._example is None:
                    yield place, self._timeout(result, by_answer=False)
                else:
                    blamed[place] = result
                    queue.of_worker[number] = Try(place, judging(*self._example), lambda: self._deadline)
            else:
                if isinstance(result, Reply):
                    self._pace[JUDGE].learn(result.seconds)
                yield place, self._verdict(result)
            if own_faults >= OWN_FAULTS:
                given_up = [queue.of_any.popleft().place for _ in range(len(queue.of_any))]
                yield from ((i, self._timeout(None, by_answer=False)) for i in given_up)

    def _verdict(self, result: Result) -> Verdict:
        if isinstance(result, Reply):
            return read_verdict(result.message, self.entry_value)
        assert isinstance(result, Ended), "a missed deadline is no verdict by itself"
        return _error(result.cause)

    def _timeout(self, late: Late | None, *, by_answer: bool) -> Verdict:
        """The verdict of a timeout that has happened twice; None: the second try was given up."""
        if late is None:
            return Verdict(
                Outcome.TIMEOUT, None, detail="no verdict in time, and the verifier's own example has none either"
            )
        detail = f"no verdict after {late.seconds:g} s at the second try"
        if not by_answer:
            why = "there is no example" if self._example is None else "its own example has no verdict in time either"
            return Verdict(Outcome.TIMEOUT, None, detail=f"{detail}; {why}: the verifier's doing")
        score = 0.0 if self._trains_timeouts else None
        return Verdict(
            Outcome.TIMEOUT,
            score,
            detail=f"{detail}; the verifier judges its own example in time: the answer's doing",
            by_answer=True,
        )

    def _num_processes(self, num_items: int) -> int:
        return max(self._num_workers, min(num_items, len(os.sched_getaffinity(0)), MAX_PROCESSES))


def read_verdict(message: Mapping[str, Any], name: str) -> Verdict:
    """The verdict in a worker's reply; an `error` verdict for an error of the verifier, whose name is given, for one that
    contradicts itself, and for what is no verdict at all."""
    if message.get("out_of_memory") is True:
        return _error("MemoryError")
    if isinstance(error := message.get("error"), str):
        return _error(error)
    outcome, score, answer, detail = (message.get(key) for key in ("outcome", "score", "answer", "detail"))
    if (
        not isinstance(outcome, str)
        or outcome not in set(Outcome)
        or not isinstance(detail, str)
        or not isinstance(answer, str | None)
    ):
        return _error(f"the reply of verifier {name} is not a verdict")
    verdict = Verdict(Outcome(outcome), score, answer, detail)
    if (why := verdict.contradiction) is not None:
        return _error(f"verifier {name} contradicts itself: {why}")
    return verdict


def _refusal(result: Result) -> str | None:
    """Why a gold answer cannot be used, by the result of its check."""
    if isinstance(result, Late):
        return f"the check of its gold answer took more than {result.seconds:g} s"
    if isinstance(result, Ended):
        return f"the check of its gold answer failed: {result.cause}"
    message = result.message
    if result.is_out_of_memory or "error" in message:
        return f"the check of its gold answer failed: {message.get('error', 'MemoryError')}"
    refusal = message.get("refusal")
    return None if refusal is None else str(refusal)


def _error(detail: str) -> Verdict:
    return Verdict(Outcome.ERROR, None, detail=detail)
