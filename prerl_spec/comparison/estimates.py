"""Mean paired differences with their intervals: seeds as units for a method, questions for these checkpoints."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev

from prerl_spec.comparison.findings import Estimate, Unit
from prerl_spec.comparison.track import Track
from prerl_spec.statistics.intervals import Interval, mean_interval
from prerl_spec.statistics.paired import paired_interval, paired_p_value
from prerl_spec.statistics.seeds import detectable_effect, seed_interval, t_p_value

_SHARE_OF_RESPONSES = re.compile(r"pass@1|avg@[0-9]+")

Tracks = Sequence[tuple[Track, Track]]
"""The same metric of each pair: of the baseline, of the arm."""


def by_seeds(pairs: Tracks) -> Estimate | None:
    """Over seeds: d̄ ± t(0.975, S−1) s/√S of the differences of S pairs; None for a single pair, which has no spread."""
    if len(pairs) < 2:
        return None
    difference_S = [second.value - first.value for first, second in pairs]
    return over_seeds(difference_S)


def over_seeds(difference_S: Sequence[float]) -> Estimate:
    """Of S ≥ 2 paired differences, one a seed."""
    return _estimate("seeds", difference_S, seed_interval(difference_S), t_p_value(difference_S))


def by_questions(pairs: Tracks) -> Estimate | str:
    """Over questions, of each question's mean over the pairs, clustered by question; or why there is none. Raises Damaged.

    Questions are told by their ids; by their rows where they were asked by other templates, and have other ids.
    """
    templates = {track.series.protocol.template_hash for pair in pairs for track in pair}
    shares = [(first, first.shares(by_row=len(templates) > 1)) for pair in pairs for first in pair]
    for track, found in shares:
        if found is None:
            return f"{track.run.name} has no results of single questions for {track.metric}"
    known = [found for _, found in shares if found is not None]
    questions = list(known[0])
    if any(found.keys() != known[0].keys() for found in known):
        return "the runs were asked different questions"
    first_Q, second_Q = (_mean_over(known[side::2], questions) for side in (0, 1))
    difference_Q = [second - first for first, second in zip(first_Q, second_Q, strict=True)]
    if len(difference_Q) < 2:
        return "one question alone has no spread"
    if all(0.0 <= share <= 1.0 for share in (*first_Q, *second_Q)):
        behind = _num_samples(pairs, known)
        interval = paired_interval(first_Q, second_Q, behind)
        return _estimate("questions", difference_Q, interval, paired_p_value(first_Q, second_Q, behind))
    return _estimate("questions", difference_Q, mean_interval(difference_Q), t_p_value(difference_Q))


def _num_samples(pairs: Tracks, shares: Sequence[Mapping[str, float]]) -> int | None:
    """Responses behind each question's mean over the pairs, where shares are c/k: they bound the luck of a few questions. None
    for other metrics."""
    track = pairs[0][0]
    k = track.series.protocol.samples_per_question
    if not _SHARE_OF_RESPONSES.fullmatch(track.metric):
        return None
    counts = [share * k for run in shares for share in run.values()]
    return k * len(pairs) if all(abs(count - round(count)) < 1e-9 * k for count in counts) else None


def _mean_over(runs: Sequence[Mapping[str, float]], questions: Sequence[str]) -> list[float]:
    return [fmean(run[question] for run in runs) for question in questions]


def _estimate(unit: Unit, difference: Sequence[float], interval: Interval, p_value: float) -> Estimate:
    spread = stdev(difference)
    return Estimate(
        unit=unit,
        count=len(difference),
        interval=interval,
        p_value=p_value,
        spread=spread,
        detectable=detectable_effect(spread, len(difference)) if spread else None,
    )


def detectable_among(estimate: Estimate, num_comparisons: int) -> Estimate:
    """The estimate with what is detectable at the first of Holm's thresholds for as many comparisons."""
    if not estimate.spread or num_comparisons < 2:
        return estimate
    return replace(
        estimate, detectable=detectable_effect(estimate.spread, estimate.count, num_comparisons=num_comparisons)
    )
