"""Verifiers, rewards and filters: what is asked about a sampled response."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

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
        """The reason why this gold answer cannot be used, or None. Runs in a worker process, once for each row of opened
        data, under the deadline of a verdict; planning asks about the empty answer."""
        ...


@runtime_checkable
class WarmedUp(Protocol):
    """A verifier whose first verdict would be slow without a warm-up."""

    def warm_up(self) -> None:
        """Runs imports and first calls, once in each worker process, before its first deadline."""
        ...


@runtime_checkable
class Exemplified(Protocol):
    """A verifier that can be told from an answer that keeps it busy: it judges this pair (response, gold) in time."""

    @property
    def right_example(self) -> tuple[str, str]: ...


@runtime_checkable
class TimeoutPolicy(Protocol):
    """A verifier that says what a timeout trains which the answer has caused; one that does not say so masks them."""

    @property
    def on_timeout(self) -> Literal["mask", "unparsable"]:
        """ "mask": outside the group's mean and count; "unparsable": trained like an unparsable answer."""
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
