"""Dynamic sampling: drops groups that are all right or all wrong (DAPO, arXiv:2503.14476)."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from prerl_spec.sdk import Component, Group, Outcome


class MixedGroups(Component):
    """Keeps groups with 0 < right < scored attempts; timeouts and errors are not scored."""

    kind = "filter"
    formula: ClassVar[str] = "0 < right < scored"
    source: ClassVar[str] = "dynamic sampling, DAPO, arXiv:2503.14476"
    peers: ClassVar[Mapping[str, str]] = {"verl": "filter_groups"}

    refill_rounds: int = Field(
        0, ge=0, description="how many times dropped groups are replaced by fresh prompts; 0: the batch shrinks"
    )

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]"})

    def keep(self, group: Group) -> bool:
        outcomes = [a.verdict.outcome for a in group.attempts if a.verdict is not None and a.verdict.score is not None]
        return 0 < outcomes.count(Outcome.RIGHT) < len(outcomes)
