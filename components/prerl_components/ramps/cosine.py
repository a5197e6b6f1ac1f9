"""A coefficient that moves along half a cosine."""

import math
from typing import ClassVar

from prerl_components.ramps.between import Between


class Cosine(Between):
    """start + (end − start) · (1 − cos(π · min(step / steps, 1))) / 2, with step from 0 at the phase's first step."""

    formula: ClassVar[str] = "start + (end − start) · (1 − cos(π · min(step/steps, 1)))/2"

    def at(self, step: int) -> float:
        """The value in a step (from 0): `start` in the first, `end` from step `steps` on, level at both ends."""
        return self.start + (self.end - self.start) * (1 - math.cos(math.pi * self.progress(step))) / 2
