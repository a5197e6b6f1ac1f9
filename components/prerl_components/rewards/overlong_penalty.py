"""Soft overlong punishment: a penalty that grows over the last tokens of the response budget (DAPO)."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from pydantic import Field

from prerl_spec.sdk import Attempt, Code, Conflict, Group, Place, RewardTerm, Wiring


class OverlongPenalty(RewardTerm):
    """weight · min(−(|y| − (L − L_c)) / L_c, 0): 0 up to L − L_c tokens, −weight at the budget L, in between a line.

    DAPO eq. 13 (arXiv:2503.14476); TRL's `soft_punish_cache` and verl's `overlong_buffer.len` are the same L_c. |y| are
    the response's tokens, EOS included, L the sampler's `max_new_tokens`. A truncated response earns −weight and, being
    unparsable, a score of 0: `unparsable = "mask"` of an objective leaves such samples out of the loss.
    """

    formula: ClassVar[str] = "weight · min(−(|y| − (L − L_c)) / L_c, 0)"
    source: ClassVar[str] = "DAPO eq. 13, arXiv:2503.14476"
    peers: ClassVar[Mapping[str, str]] = {"TRL": "get_soft_overlong_punishment", "verl": "overlong_buffer"}

    buffer: int = Field(
        ge=1, description="L_c: length of the interval before `max_new_tokens` that is penalised, in tokens"
    )
    weight: float = Field(1.0, gt=0, description="penalty of a response that takes the whole budget")

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        if wiring.sampler is not None and self.buffer >= wiring.sampler.max_new_tokens:
            yield Conflict(
                Code.CONTRADICTION,
                f"buffer = {self.buffer} is not below the sampler's max_new_tokens = {wiring.sampler.max_new_tokens}: "
                "every token would be penalised",
                (Place("self", "buffer"),),
                help="DAPO takes a fifth of the budget: 4096 of 20480 tokens",
            )

    def reward(self, attempt: Attempt, group: Group) -> float:
        """In [−weight, 0]; the shares of one group do not depend on each other."""
        over = len(attempt.tokens) - (group.max_new_tokens - self.buffer)
        return self.weight * min(-over / self.buffer, 0.0)
