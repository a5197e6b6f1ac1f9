"""The verdicts of one batch of items, which may be asked for one at a time: first tries, then second tries of those that were
late, when all others are done."""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from types import TracebackType
from typing import Self

from prerl_spec.engine.verification.first_tries import FirstTries
from prerl_spec.engine.verification.verify_worker import JUDGE
from prerl_spec.engine.verification.worker_set import Late, Reply, Result
from prerl_spec.types import Outcome, Verdict

Item = tuple[str, str, bool]
"""Response, gold answer, and whether the response was truncated."""

Progress = Callable[[int, int], None]
"""`progress(done, total)`."""

CUT_OFF = Verdict(Outcome.UNPARSABLE, 0.0, detail="cut off before its end")

SecondTries = Callable[[Mapping[int, Mapping[str, str]]], Generator[tuple[int, Verdict], None, None]]
"""Maps the requests of late items, by place, to their verdicts."""


class VerdictBatch:
    """Verdicts by the places of their items; a context manager, at whose end nothing is judged any more.

    `verdict` reads a first try's result; `second_verdicts` tries those again that were late, all of them together.
    """

    def __init__(
        self,
        first: FirstTries,
        verdict: Callable[[Result], Verdict],
        second_verdicts: SecondTries,
    ) -> None:
        self._first = first
        self._verdict = verdict
        self._second_verdicts = second_verdicts
        self._requests: dict[int, Mapping[str, str]] = {}
        self._verdicts: dict[int, Verdict] = {}

    def __enter__(self) -> Self:
        self._first.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._first.__exit__(kind, error, trace)

    def ask(self, place: int, item: Item) -> None:
        """An item more, at a place of its own; a truncated response is unparsable without being judged."""
        response, gold, is_truncated = item
        if is_truncated:
            self._verdicts[place] = CUT_OFF
        else:
            self._requests[place] = judging(response, gold)
            self._first.add(place, self._requests[place])

    def verdicts(self, progress: Progress | None = None) -> dict[int, Verdict]:
        """Waits for all verdicts; `progress(done, total)` counts them. Raises RunFailed if the verifier can no longer be
        started."""
        total = len(self._verdicts) + len(self._requests)

        def decide(place: int, verdict: Verdict) -> None:
            self._verdicts[place] = verdict
            if progress is not None:
                progress(len(self._verdicts), total)

        late: list[int] = []
        with closing(self._first.rest()) as results:
            for place, result in results:
                if is_worth_another(result):
                    late.append(place)
                else:
                    decide(place, self._verdict(result))
        if late:
            with closing(self._second_verdicts({i: self._requests[i] for i in sorted(late)})) as verdicts:
                for place, verdict in verdicts:
                    decide(place, verdict)
        return self._verdicts


def judging(response: str, gold: str) -> dict[str, str]:
    """The request for a verdict."""
    return {"kind": JUDGE, "response": response, "gold": gold}


def is_worth_another(result: Result) -> bool:
    """Whether the item may not have caused it: a missed deadline; memory that earlier items may have used up."""
    return isinstance(result, Late) or (isinstance(result, Reply) and result.is_out_of_memory and not result.was_fresh)
