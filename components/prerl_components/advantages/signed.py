"""Plus one for right, minus one for wrong."""

from typing import ClassVar

import numpy as np

from prerl_spec.sdk import Advantage, Array, Batch


class Signed(Advantage):
    """A_i = +1 for a sample that the verifier scores 1, −1 for any other, in every group; reward terms do not count.

    What PSR, NSR and W-REINFORCE need: `minus_one` gives right samples exactly 0.
    """

    formula: ClassVar[str] = "+1 right, −1 wrong"
    source: ClassVar[str] = "NSR, PSR and W-REINFORCE, arXiv:2506.01347, §2, eqs 1–3"
    shift = True
    scale = 0

    def advantage(self, batch: Batch) -> Array:
        """[S]."""
        scores = [None if a.reward is None or a.verdict is None else a.verdict.score for a in batch.step.samples]
        return np.array([0.0 if s is None else 1.0 if s >= 1 else -1.0 for s in scores])
