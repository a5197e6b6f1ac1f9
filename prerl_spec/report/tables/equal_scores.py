"""Leaves out the scores that another one says already."""

from collections.abc import Sequence

from prerl_spec.types import Score


def each_once(scores: Sequence[Score]) -> list[Score]:
    """The scores without pass@1 beside the avg@n of the same task, which it equals: both are the mean over all responses."""
    named = {(score.task, score.metric, score.samples_per_question) for score in scores}
    return [s for s in scores if (s.task, _average(s), s.samples_per_question) not in named]


def _average(score: Score) -> str | None:
    """The metric that pass@1 is another name of: "avg@8,exact_match,none" of "pass@1,exact_match,none"."""
    name, comma, rest = score.metric.partition(",")
    return f"avg@{score.samples_per_question}{comma}{rest}" if name == "pass@1" else None
