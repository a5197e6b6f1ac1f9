"""The base class of ramps that move from one value to another in a number of steps, and then stay."""

from typing import Self

from pydantic import Field, model_validator

from prerl_spec.sdk import Ramp


class Between(Ramp):
    """Moves from `start` to `end` in `steps` steps of the phase."""

    start: float = Field(ge=0, description="value in the phase's first step")
    end: float = Field(ge=0, description="value after `steps` steps, constant from then on")
    steps: int = Field(ge=1, description="steps of the phase from `start` to `end`")

    @model_validator(mode="after")
    def _not_zero_throughout(self) -> Self:
        if self.start == 0 and self.end == 0:
            raise ValueError("a ramp from 0 to 0 is 0 throughout: start or end must be more than 0")
        return self

    def progress(self, step: int) -> float:
        """The share of the way in a step (from 0), 1 once it has ended."""
        return min(step / self.steps, 1.0)
