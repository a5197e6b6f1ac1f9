"""What most verifiers are: a quick judgement, right or wrong, in one worker process."""

from typing import ClassVar

from prerl_spec.registry.component import Component


class BinaryVerifier(Component):
    """Subclass it and give `judge(response, gold)`, and `right_example` and `wrong_example` to be tried with."""

    kind = "verifier"
    num_workers: ClassVar[int] = 1
    seconds_allowed: ClassVar[float] = 10.0
    """For one verdict; later it is a timeout, and the response trains nothing."""
    memory_bytes: ClassVar[int] = 2**31
    """Address space of the worker."""
    right_example: ClassVar[tuple[str, str]]
    """A response and a gold answer that it is right for."""
    wrong_example: ClassVar[tuple[str, str]]

    def provides(self) -> frozenset[str]:
        return frozenset({"reward[binary]"})

    def check_gold(self, gold: str) -> str | None:
        return None if gold.strip() else "it is empty"
