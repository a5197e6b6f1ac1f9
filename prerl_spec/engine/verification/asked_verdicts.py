"""The verdicts of one round of sampling, asked for while it goes on or when it is over, from the pools of several verifiers."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol, Self

from prerl_spec.engine.verification.verdict_batch import Item, Progress, VerdictBatch
from prerl_spec.engine.verification.verifier_pool import VerifierPool
from prerl_spec.errors import EnvironmentUnmet, RunFailed
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.types import Verdict


class Asked(Protocol):
    """Verdicts that are asked for one at a time, and waited for together."""

    @property
    def begins_early(self) -> bool:
        """Whether verifiers may begin before the verdicts are waited for."""
        ...

    def ask(self, verifier: Verifier, place: int, item: Item) -> None:
        """Asks for the verdict of an item, at a place of its own. Returns at once."""
        ...

    def verdicts(self) -> Mapping[int, Verdict]:
        """Every verdict, by place. Raises EnvironmentUnmet for a verifier that cannot be started, RunFailed."""
        ...


class AskedVerdicts:
    """Implements `Asked`; a context manager, at whose end nothing is judged any more.

    So many workers of all verifiers together as `beside` says begin at once, beside what the caller does; the verifier that is
    asked for first has its own before others. What goes wrong with them
    meanwhile is raised when the verdicts are waited for, not where they are asked for: no sample is lost by it.
    """

    def __init__(self, pool_of: Callable[[Verifier], VerifierPool], progress: Progress | None, *, beside: int) -> None:
        self._pool_of = pool_of
        self._progress = progress
        self._beside = self._left = beside
        self._stack = ExitStack()
        self._batches: dict[VerifierPool, VerdictBatch] = {}
        self._failure: EnvironmentUnmet | RunFailed | OSError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def begins_early(self) -> bool:
        return self._beside > 0

    def ask(self, verifier: Verifier, place: int, item: Item) -> None:
        if self._failure is not None:
            return
        try:
            pool = self._pool_of(verifier)
            if pool not in self._batches:
                beside = min(self._left, verifier.num_workers)
                self._batches[pool] = self._stack.enter_context(pool.batch(beside=beside))
                self._left -= beside
            self._batches[pool].ask(place, item)
        except (EnvironmentUnmet, RunFailed, OSError) as failure:
            self._failure = failure

    def verdicts(self) -> dict[int, Verdict]:
        if self._failure is not None:
            raise self._failure
        found: dict[int, Verdict] = {}
        for batch in self._batches.values():
            found |= batch.verdicts(self._progress)
        return found
