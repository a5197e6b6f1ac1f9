"""Verifiers, rewards and filters: what is asked about a sampled response."""

from __future__ import annotations

import re
from typing import Any, Literal, Protocol, runtime_checkable

from prerl_spec.registry.kinds.declared import Declared
from prerl_spec.types import Attempt, Group, Verdict


class Verifier(Declared, Protocol):
    """Judges responses in a worker process of the engine's pool, to which its settings are sent as JSON, never as a pickle.

    `plugin check` tests it with `right_example` and `wrong_example`, pairs (response, gold answer). The worker is isolated
    (docs/verifiers.md); what the verifier needs of the world it declares, on the class or as properties:
    `environment_names`, a tuple of the variables that it reads, and `uses_network`, a bool.
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
class WritesAnswers(Protocol):
    """A verifier whose answers have a written form: `check-data` then judges every gold answer against itself."""

    def response_with(self, answer: str) -> str:
        """A whole response that gives this answer, such as `\\boxed{7}` for 7."""
        ...


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRETS = frozenset({"TOKEN", "TOKENS", "KEY", "PASSWORD", "PASSWD", "SECRET", "CREDENTIAL", "CREDENTIALS"})


def declared_environment(verifier: Any) -> tuple[str, ...]:
    """The environment variables that a verifier declares. Raises AssertionError for what is no name, and for one that
    names a secret: a `Secret` setting is masked wherever it may turn up, a variable is not."""
    names = getattr(verifier, "environment_names", ())
    is_tuple = isinstance(names, tuple) and all(isinstance(n, str) and _NAME.fullmatch(n) for n in names)
    assert is_tuple, f"environment_names is {names!r}, not a tuple of names"
    secret = [name for name in names if _SECRETS.intersection(name.upper().split("_"))]
    assert not secret, f"environment_names has {secret[0]}: take a secret as a setting, Annotated[str, Secret()]"
    return names


def declares_network(verifier: Any) -> bool:
    """Whether a verifier declares that it uses the network. Raises AssertionError for what is not a bool."""
    uses = getattr(verifier, "uses_network", False)
    assert isinstance(uses, bool), f"uses_network is {uses!r}, not a bool"
    return uses


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
