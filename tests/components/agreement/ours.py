"""An objective of ours that stands beside a case of a peer's.

`differs` says on purpose: what differs, and whose formula is the paper's; `on` names the batches where it shows, if not on all.
The test requires that a case differs there, and agrees elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prerl_components.advantages.group_mean import GroupMean
from prerl_components.advantages.group_std import GroupStd
from prerl_components.objectives.aggregation import Aggregation
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.objectives.weighted_sum import WeightedSum
from prerl_components.surrogates.plain import Plain

Part = Literal["loss", "gradient", "advantage"]


@dataclass(frozen=True)
class Ours:
    """An objective, the parts of a reward that it trains on, and what of it is compared."""

    objective: Any
    differs: str = ""
    on: tuple[str, ...] = ()
    updates: int = 1
    rewards: Mapping[str, float] = field(default_factory=lambda: {"score": 1.0})
    compared: tuple[Part, ...] = ("loss", "gradient", "advantage")

    def differs_on(self, batch: str) -> bool:
        return bool(self.differs) and (not self.on or batch in self.on)


def gradient_of(advantage: Any, surrogate: Any, aggregation: Aggregation = "token_mean", **more: Any) -> PolicyGradient:
    return PolicyGradient(advantage=advantage, surrogate=surrogate, aggregation=aggregation, **more)


def summed(*terms: Any) -> WeightedSum:
    return WeightedSum(terms=terms)


def earns(advantage: Any, differs: str = "", **more: Any) -> Ours:
    """An advantage alone; with two reward parts, on their sum."""
    return Ours(gradient_of(advantage, Plain()), differs, compared=("advantage",), **more)


MEAN, STD = GroupMean(), GroupStd()
