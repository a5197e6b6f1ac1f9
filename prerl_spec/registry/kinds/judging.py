"""Verifiers, rewards and filters: what is asked about a sampled response."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from prerl_spec.registry.kinds.declared import Declared
from prerl_spec.types import Attempt, Group, Verdict


class Verifier(Declared, Protocol):
    """Judges responses in a worker process of the engine's pool, to which its settings are sent as JSON, never as a pickle.

    `plugin check` tests it with `right_example` and `wrong_example`, pairs (response, gold answer).
    """

    @property
    def num_workers(self) -> int: ...
    @property
    def seconds_allowed(self) -> float: ...
    @property
    def memory_bytes(self) -> int: ...
    def judge(self, response: str, gold: str) -> Verdict:
        """The verdict on a finished response (a truncated one is unparsable before any verifier sees it). Runs in the
        main thread of a worker process; raising is an `error` verdict. Pure: same inputs, same verdict."""
        ...

    def check_gold(self, gold: str) -> str | None:
        """The reason why this gold answer cannot be used, or None. Cheap: it runs when data is opened."""
        ...


@runtime_checkable
class WarmedUp(Protocol):
    """A verifier whose first verdict would be slow without a warm-up."""

    def warm_up(self) -> None:
        """Runs imports and first calls, once in each worker process, before its first deadline."""
        ...


@runtime_checkable
class WritesAnswers(Protocol):
    """A verifier whose answers have a written form: `check-data` then judges every gold answer against itself."""

    def response_with(self, answer: str) -> str:
        """A whole response that gives this answer, such as `\\boxed{7}` for 7."""
        ...


class Reward(Declared, Protocol):
    def reward(self, attempt: Attempt, group: Group) -> float:
        """A term that is added to the verdict's score, a finite number. Called for attempts with a score only.

        The group's attempts have their verdicts, and as yet the score alone as their reward; `group.max_new_tokens` is the
        response budget. Pure, and independent of the order of the group's attempts.
        """
        ...


class Filter(Declared, Protocol):
    @property
    def refill_rounds(self) -> int: ...
    def keep(self, group: Group) -> bool:
        """Whether the group stays in the step; dropped groups are replaced in at most `refill_rounds` rounds."""
        ...
