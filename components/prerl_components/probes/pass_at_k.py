"""pass@k of a step's prompts: the probability that one of k responses is right."""

from collections.abc import Iterable, Mapping
from math import comb
from typing import Annotated, Literal

from pydantic import Field

from prerl_spec.sdk import Code, Component, Conflict, Group, Outcome, Place, Step, Wiring


class PassAtK(Component):
    """Unbiased pass@k over the groups of a step: 1 − C(n−c, k)/C(n, k), c right of n scored responses, mean over prompts
    (Chen et al. 2021, arXiv:2107.03374, eq. 1).

    Groups that a filter dropped count as well: without them the prompts that are always or never solved would be
    missing. A timeout or an error is no response here; a group with fewer than k scored ones is left out.
    """

    kind = "probe"
    metric_names = ("pass_at_*",)

    k: Literal["auto"] | Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = Field(
        "auto",
        examples=[(1, 2)],
        description='values of k, at most group_size; "auto": 1, 2, 4 … up to it',
    )
    every: int = Field(1, ge=1, description="steps between measurements")

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        if wiring.sampler is None or self.k == "auto" or max(self.k) <= wiring.sampler.group_size:
            return
        yield Conflict(
            Code.CONTRADICTION,
            f"pass@{max(self.k)} cannot be estimated from {wiring.sampler.group_size} responses per prompt",
            (Place("self", "k"), Place("sampler", "group_size")),
            help="lower k, or raise group_size",
        )

    def measure(self, step: Step) -> Mapping[str, float]:
        """`pass_at_1` …; none where no group has k scored responses."""
        counts = [_right_of_scored(group) for group in (*step.groups, *step.discarded)]
        largest = max((n for _, n in counts), default=0)
        wanted = [2**i for i in range(largest.bit_length())] if self.k == "auto" else self.k
        found: dict[str, float] = {}
        for k in wanted:
            each = [1.0 - comb(n - c, k) / comb(n, k) for c, n in counts if n >= k]
            if each:
                found[f"pass_at_{k}"] = sum(each) / len(each)
        return found


def _right_of_scored(group: Group) -> tuple[int, int]:
    """(right, scored) responses."""
    outcomes = [a.verdict.outcome for a in group.attempts if a.verdict is not None and a.reward is not None]
    return outcomes.count(Outcome.RIGHT), len(outcomes)
