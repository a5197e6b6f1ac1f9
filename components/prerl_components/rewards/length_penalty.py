"""A length penalty within a group: shorter right responses earn more, longer ones less (Kimi k1.5)."""

from typing import ClassVar

from pydantic import Field

from prerl_spec.sdk import Attempt, Group, Outcome, RewardTerm


class LengthPenalty(RewardTerm):
    """weight · λ for a right response, weight · min(0, λ) for any other; λ = 0.5 − (|y| − min) / (max − min).

    min and max are over the group's verified responses, lengths in tokens, EOS included; equal lengths (a single response
    too) earn 0. Kimi k1.5, §2.3.3 (arXiv:2501.12599), where it is called length reward and is switched on after a first
    stretch without it: here, a phase of its own. The shortest right response gains weight / 2, the longest response
    loses weight / 2 whatever the group's lengths are, so that a few tokens of difference count in full.
    """

    formula: ClassVar[str] = "weight · (λ if right else min(0, λ)), λ = 0.5 − (|y| − min) / (max − min)"
    source: ClassVar[str] = "Kimi k1.5 §2.3.3, arXiv:2501.12599"

    weight: float = Field(gt=0, description="factor of λ, which lies in [−0.5, 0.5]; a right answer scores 1")

    def reward(self, attempt: Attempt, group: Group) -> float:
        """In [−weight / 2, weight / 2]."""
        lengths = [len(a.tokens) for a in group.attempts if a.reward is not None]
        shortest, longest = min(lengths), max(lengths)
        if shortest == longest:
            return 0.0
        lam = 0.5 - (len(attempt.tokens) - shortest) / (longest - shortest)
        right = attempt.verdict is not None and attempt.verdict.outcome is Outcome.RIGHT
        return self.weight * (lam if right else min(0.0, lam))
