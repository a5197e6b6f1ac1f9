"""A coefficient that moves in a straight line."""

from typing import ClassVar

from prerl_components.ramps.between import Between


class Linear(Between):
    """start + (end − start) · min(step / steps, 1), with step from 0 at the phase's first step."""

    formula: ClassVar[str] = "start + (end − start) · min(step/steps, 1)"

    def at(self, step: int) -> float:
        """The value in a step (from 0): `start` in the first, `end` from step `steps` on."""
        return self.start + (self.end - self.start) * self.progress(step)
