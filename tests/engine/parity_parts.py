"""A verifier by which even a model that has learnt nothing is sometimes right, and a filter; light, since every worker process
imports this module."""

from pathlib import Path
from typing import ClassVar, Literal

from prerl_spec.sdk import Component, Group, Outcome, Verdict


class Parity(Component):
    """Right where the response's characters sum to an even number; an error while the file `broken` is there."""

    kind: ClassVar[Literal["verifier"]] = "verifier"

    broken: str = ""
    num_workers: int = 1
    seconds_allowed: float = 5.0
    memory_bytes: int = 2**31

    def judge(self, response: str, gold: str) -> Verdict:
        if self.broken and Path(self.broken).exists():
            raise OSError(f"{self.broken} is there")
        right = sum(map(ord, response)) % 2 == 0
        return Verdict(Outcome.RIGHT if right else Outcome.WRONG, float(right), answer=response)

    def check_gold(self, gold: str) -> str | None:
        return None


class EverySecond(Component):
    """A filter that keeps every second group, and all of the last round: steps of four groups take three rounds."""

    kind: ClassVar[Literal["filter"]] = "filter"

    refill_rounds: int = 2

    def keep(self, group: Group) -> bool:
        return group.refill == self.refill_rounds or group.slot % 2 == 0
