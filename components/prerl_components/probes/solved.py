"""How many prompts of a step are solved always, sometimes or never: where a group baseline finds a signal."""

from collections.abc import Mapping

from pydantic import Field

from prerl_spec.sdk import Component, Outcome, Step


class Solved(Component):
    """Shares of the step's prompts whose scored responses are all right, none right, or mixed (they sum to 1).

    Groups that a filter dropped count as well; a group without a scored response does not. Each prompt counts as often
    as it was drawn: prompts are not remembered over steps.
    """

    kind = "probe"
    metric_names = ("solved_*",)

    every: int = Field(1, ge=1, description="steps between measurements")

    def measure(self, step: Step) -> Mapping[str, float]:
        """`solved_all`, `solved_some`, `solved_none`; none without a scored response."""
        shares: list[float] = []
        for group in (*step.groups, *step.discarded):
            scored = [a for a in group.attempts if a.reward is not None and a.verdict is not None]
            right = sum(a.verdict is not None and a.verdict.outcome is Outcome.RIGHT for a in scored)
            shares += [right / len(scored)] if scored else []
        if not shares:
            return {}
        counts = {"all": shares.count(1.0), "none": shares.count(0.0)}
        counts["some"] = len(shares) - counts["all"] - counts["none"]
        return {f"solved_{name}": counts[name] / len(shares) for name in ("all", "some", "none")}
