"""The entropy of the distributions that right and wrong responses were drawn from, as the sampler recorded it."""

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from prerl_spec.sdk import Attempt, Component, Step


class Entropy(Component):
    """Mean entropy per token, and mean surprisal −log π(y_t), of right and of wrong responses, in nats.

    Entropies are the sampler's: `transformers` records them, vLLM does not, and then only the surprisal is there. Over all
    responses of an untruncated sampler the mean surprisal is an unbiased estimate of the mean entropy (E[−log π] = H);
    over the right ones alone it is not, since likely responses are right more often. Costs no forward.
    """

    kind = "probe"
    metric_names = ("entropy_*", "surprisal_*")

    every: int = Field(1, ge=1, description="steps between measurements")

    def measure(self, step: Step) -> Mapping[str, float]:
        """`entropy_right`, `entropy_wrong`, `surprisal_right`, `surprisal_wrong`, as far as they are there."""
        scored = [
            (a, a.verdict.outcome == "right") for a in step.samples if a.reward is not None and a.verdict is not None
        ]
        found: dict[str, float] = {}
        for name, wanted in (("right", True), ("wrong", False)):
            mine = [attempt for attempt, right in scored if right is wanted]
            for what, values in (("entropy", _entropies(mine)), ("surprisal", _surprisals(mine))):
                if values:
                    found[f"{what}_{name}"] = float(np.mean(values))
        return found


def _entropies(attempts: Sequence[Attempt]) -> list[float]:
    return [e for a in attempts for s in a.segments if s.trained for e in (s.entropies or ())]


def _surprisals(attempts: Sequence[Attempt]) -> list[float]:
    return [-p for a in attempts for s in a.segments if s.trained for p in (s.logps or ())]
