"""How much of a study's budget is left, for the progress of a run that ends when it is spent."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prerl_spec.compiler.graph import Counted, Cut
from prerl_spec.storage.run_events import amount_taken

RECENT_STEPS = 20


@dataclass
class BudgetLeft:
    """What has been taken of a budget, and by each of the last steps, with its seconds."""

    cut: Cut
    taken: float = 0.0
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=RECENT_STEPS))

    def __post_init__(self) -> None:
        self.taken = self.taken or self.cut.before

    def step(self, event: Mapping[str, Any]) -> None:
        """Counts a step, as its event tells of it."""
        amount = amount_taken([event], self.cut.match)
        self.taken += amount
        self.recent.append((amount, float(event["seconds"]["total"])))

    @property
    def share(self) -> float:
        """Share of the budget that is spent."""
        return self.taken / self.cut.budget

    def left(self) -> float | None:
        """Estimated seconds of training until it is spent; None while no step takes any of it."""
        amount, seconds = (sum(values) for values in zip(*self.recent, strict=True)) if self.recent else (0.0, 0.0)
        return max(0.0, self.cut.budget - self.taken) * seconds / amount if amount else None


def amount_words(amount: float, match: Counted) -> str:
    """ "12,000 generated tokens", "1 step", "90.5 seconds"."""
    words = match.replace("_", " ")
    return f"{amount:,.15g} {words.removesuffix('s') if amount == 1 else words}"
