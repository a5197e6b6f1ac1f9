"""A bonus for the form of a response: that its answer stands in a `\\boxed{…}`, right or wrong."""

from typing import ClassVar

from pydantic import Field

from prerl_components.verifiers.boxed import boxed_answer
from prerl_spec.sdk import Attempt, Group, RewardTerm


class FormatBonus(RewardTerm):
    r"""+weight where the response ends by itself and its last \boxed{…}, after any </think>, is closed and not empty; else 0.

    A rule-based format reward (DeepSeek-R1, arXiv:2501.12948, whose form is a pair of think tags) for the form that the
    verifiers of `extract = "last_boxed"` read, by text alone: no verdict decides it, so that a wrong answer in a box earns it
    too. A truncated response earns nothing, as its box is not judged either. With a group's baseline the bonus acts where
    some responses of a group have the form and some have not, and can outweigh a verdict: keep weight well below 1.
    """

    formula: ClassVar[str] = r"weight · 1[ended by itself, last \boxed{…} closed and not empty]"
    source: ClassVar[str] = "rule-based format rewards, DeepSeek-R1, arXiv:2501.12948"

    weight: float = Field(gt=0, description="bonus for a response with the form; a right answer scores 1")

    def reward(self, attempt: Attempt, group: Group) -> float:
        """0 or weight."""
        return self.weight if attempt.stop != "length" and boxed_answer(attempt.text) else 0.0
