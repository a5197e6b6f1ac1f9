"""Runs an evaluator on a sample of its requests, and estimates the seconds of the full evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from prerl_spec.engine.policy.continuation_logps import Pair
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.types import Decoding, Generation, Request

SCORED_PAIRS = 256
"""Most continuations scored per call."""


@dataclass
class PartialEvaluation:
    """Serves each call with an evenly spread subset of its requests and repeats the results for the others: the scores
    are meaningless, but the evaluator's own processing is timed in full.

    The seconds saved are estimated as (requests left out / requests served) x the seconds of the subset: batches of the
    size of a training step's are about as efficient as larger ones.
    """

    site: EvaluationSite
    responses: int
    """Most responses sampled per call."""
    left_out_seconds: float = 0.0
    asked: int = 0
    of: int = 0

    def opened(self) -> EvaluationSite:
        """The evaluation site to pass to the evaluator."""
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
    """At most `at_most` of the indices 0 … of-1, evenly spaced: `spread(10, 3) == [0, 3, 6]`."""
    number = min(of, at_most)
    return [i * of // number for i in range(number)]
