"""Base class of most verifiers: a fast right-or-wrong judgement in one worker process."""

from typing import ClassVar

from prerl_spec.registry.component import Component


class BinaryVerifier(Component):
    """Subclasses define `judge(response, gold)`, and `right_example` and `wrong_example` for `plugin check`."""

    kind = "verifier"
    num_workers: ClassVar[int] = 1
    seconds_allowed: ClassVar[float] = 10.0
    """Deadline of one verdict; after it, the outcome is a timeout and the response is not trained on."""
    memory_bytes: ClassVar[int] = 2**31
    """Limit on the worker's address space, in bytes."""
    environment_names: ClassVar[tuple[str, ...]] = ()
    """Environment variables that `judge` reads; a worker sees no other but PATH, the locale, TZ and the like. Never a
    secret: that is a setting, `Annotated[str, Secret()]`."""
    uses_network: ClassVar[bool] = False
    """Whether `judge` connects to anything. Without it a worker has no network where the machine can forbid it."""
    right_example: ClassVar[tuple[str, str]]
    """A response and a gold answer that it matches."""
    wrong_example: ClassVar[tuple[str, str]]

    def provides(self) -> frozenset[str]:
        return frozenset({"reward[binary]"})

    def check_gold(self, gold: str) -> str | None:
        return None if gold.strip() else "it is empty"
