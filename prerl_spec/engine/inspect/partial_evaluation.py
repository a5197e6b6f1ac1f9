"""A round of an evaluator on the first few of what it asks, and the seconds that the whole would take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from prerl_spec.engine.policy.continuation_logps import Pair
from prerl_spec.registry.kinds import EvaluationSite
from prerl_spec.types import Decoding, Generation, Request

SCORED_PAIRS = 256
"""Of continuations that are only scored."""


@dataclass
class PartialEvaluation:
    """Answers each call from a part of it, evenly spread, and gives the other questions the same answers again: what the
    evaluator then makes of them means nothing, but takes the time that it takes.

    What was left out is counted as (share left out / share asked) x the seconds of the part: batches as full as a
    training step's are near enough to larger ones.
    """

    site: EvaluationSite
    responses: int
    """Drawn at most in a call."""
    left_out_seconds: float = 0.0
    asked: int = 0
    of: int = 0

    def opened(self) -> EvaluationSite:
        """The site that the evaluator gets."""
        return replace(self.site, generate=self._generate, continuation_logps=self._continuation_logps)

    def _generate(self, requests: Sequence[Request], decoding: Decoding) -> list[list[Generation]]:
        each = max((len(r.seeds) for r in requests), default=1)
        chosen = spread(len(requests), max(1, self.responses // each))
        begin = perf_counter()
        drawn = self.site.generate([requests[i] for i in chosen], decoding)
        self._count(len(chosen), len(requests), perf_counter() - begin)
        again = [drawn[i * len(chosen) // len(requests)] for i in range(len(requests))]
        return [
            [generations[k % len(generations)] for k in range(len(request.seeds))]
            for generations, request in zip(again, requests, strict=True)
        ]

    def _continuation_logps(self, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
        chosen = spread(len(pairs), SCORED_PAIRS)
        begin = perf_counter()
        scored = self.site.continuation_logps([pairs[i] for i in chosen])
        self._count(len(chosen), len(pairs), perf_counter() - begin)
        return [scored[i * len(chosen) // len(pairs)] for i in range(len(pairs))]

    def _count(self, asked: int, of: int, seconds: float) -> None:
        self.asked += asked
        self.of += of
        if asked:
            self.left_out_seconds += seconds * (of - asked) / asked


def spread(of: int, at_most: int) -> list[int]:
    """That many of 0 … of-1, evenly: `spread(10, 3) == [0, 3, 6]`."""
    number = min(of, at_most)
    return [i * of // number for i in range(number)]
