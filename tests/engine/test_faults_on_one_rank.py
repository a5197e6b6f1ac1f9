"""What one rank finds at fault ends all of them, with the same words: two ranks, a thread each."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.work_split import Division
from prerl_spec.errors import RunFailed
from prerl_spec.sdk import Conditional, Credit, Need, OnePartObjective, Step
from prerl_spec.types import Array
from tests.engine.steps import make_trainer, random_step, tiny_policy

T = TypeVar("T")
LOGP = Need(Conditional())
AT_FAULT = 1
"""The slot of the group at fault: the second rank's."""
SECONDS = 20.0


class Table:
    """Where two threads exchange what they have; one that does not come makes the other one's wait fail."""

    def __init__(self) -> None:
        self._barrier = Barrier(2, timeout=SECONDS)
        self._brought: list[Any] = [None, None]

    def exchange(self, rank: int, brought: T) -> list[T]:
        self._brought[rank] = brought
        self._barrier.wait()
        found = list(self._brought)
        self._barrier.wait()
        return found


class Seat(Ranks):
    """One of two ranks."""

    def __init__(self, table: Table, rank: int) -> None:
        self._table = table
        self.rank, self.size, self.device, self.invariant = rank, 2, torch.device("cpu"), False
        self.division = Division.by_rank(rank, 2)

    def gather(self, items: Sequence[T]) -> list[T]:
        return [item for part in self._table.exchange(self.rank, list(items)) for item in part]

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        return torch.stack(self._table.exchange(self.rank, tensor.clone())).sum(0)


class Faulty(OnePartObjective):
    """Of one group terms, or their gradient, are not finite."""

    gives: str

    def needs(self) -> frozenset[Need]:
        return frozenset({LOGP})

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        slot_N = step.group_S[step.tokens.sample_N].astype(float)
        return Credit(slot_N, np.full(len(slot_N), 1 / len(slot_N)), "tokens")

    def terms(self, logp: Mapping[Need, torch.Tensor], advantage_n: torch.Tensor, tokens: Any) -> torch.Tensor:
        logp_n = logp[LOGP]
        if not bool((advantage_n == AT_FAULT).any()):
            return logp_n
        # The gradient of the root of |x| at 0 is no number, its value is.
        return logp_n * torch.nan if self.gives == "terms" else (logp_n - logp_n.detach()).abs().sqrt()


@pytest.mark.parametrize(
    ("gives", "words"), [("terms", "gives nan in `terms` for"), ("gradient", "gives nan as the gradient")]
)
def test_a_part_that_is_at_fault_on_one_rank_ends_both_with_the_same_words(gives: str, words: str) -> None:
    step, table = random_step(2, 2, longest=4), Table()

    def train(rank: int) -> RunFailed:
        trainer = make_trainer(tiny_policy(), Faulty(gives=gives), ranks=Seat(table, rank))
        with pytest.raises(RunFailed) as caught:
            trainer.train(step)
        return caught.value

    with ThreadPoolExecutor(2) as threads:
        one, two = threads.map(train, range(2))
    assert one.message == two.message
    assert words in one.message
    assert f"prompt train[{AT_FAULT}]" in one.message
    assert one.hint == two.hint
