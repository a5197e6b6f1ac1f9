"""A metric at one place of a run: the score itself, and its value on each question."""

import re
from collections.abc import Sequence
from statistics import fmean

from prerl_spec.comparison.conditions import Scored
from prerl_spec.comparison.scored_run import ScoredRun
from prerl_spec.errors import UsageError
from prerl_spec.evaluation.scores.at_k import CONSENSUS
from prerl_spec.evaluation.scores.question_results import values_by_question
from prerl_spec.language.suggest import choice
from prerl_spec.types import Score

_OF_COUNTS = re.compile(r"(avg|pass|maj|m?G-Pass)@([1-9][0-9]*)(?:_[0-9.]+)?")


_MEAN_OF_RESPONSES = re.compile(r"(?:pass@1|avg@[1-9][0-9]*)(,.*)?")


def metrics_of(series: Sequence[Scored], wanted: str | None, task: str) -> list[str]:
    """The metrics that every run has, in the order of the first, but for G-Pass@k, which comes along with every k; or the one
    that was asked for: any pass@k, avg@k, G-Pass@k and, where votes were kept, maj@k with k up to the number of samples.

    pass@1 is the mean over all responses, as avg@n is: one of the two is left out. Raises UsageError for a k above the number
    of samples, and for a metric that no run has.
    """
    names = [list(dict.fromkeys(score.metric for score in one.scores)) for one in series]
    shared = [name for name in names[0] if all(name in other for other in names)]
    if wanted is None:
        return [name for name in shared if not _is_double(name, shared) and not name.startswith(CONSENSUS)]
    samples = series[0].protocol.samples_per_question
    found = _OF_COUNTS.fullmatch(wanted)
    if found is not None and int(found[2]) > samples:
        raise UsageError(
            f"{task}/{wanted}: k is {found[2]}, and {samples} responses a question were sampled",
            hint=f"choose k up to {samples}, or score again with more samples",
        )
    if found is None and wanted not in shared:
        raise UsageError(f"{task} has no metric {wanted or 'without a name'}", hint=choice(wanted, shared))
    return [wanted]


def is_same_metric(first: str, second: str) -> bool:
    """Whether two metrics of the same responses are one: pass@1 is avg@n, and "pass@1,acc,none" is "avg@n,acc,none"."""
    return first == second or (_mean_of(first) is not None and _mean_of(first) == _mean_of(second))


def _mean_of(metric: str) -> str | None:
    """What of a response the metric is the mean of, over all of them: "" right or wrong; None for other metrics."""
    found = _MEAN_OF_RESPONSES.fullmatch(metric)
    return None if found is None else found[1] or ""


def _is_double(name: str, names: Sequence[str]) -> bool:
    """Whether another of the names means the same, and is kept: pass@1 beside avg@1, else avg@n."""
    same = [other.partition(",")[0] for other in names if is_same_metric(name, other)]
    kept = "pass@1" if "avg@1" in same else next((base for base in same if base != "pass@1"), same[0])
    return len(same) > 1 and name.partition(",")[0] != kept


def places_of(series: Scored, metric: str) -> list[Score]:
    """One score for each place of the run where the metric can be told, ascending by step: its own, or for a k that was not
    written the one whose questions it is counted from."""
    return series.of(metric) or series.of(series.scores[0].metric)


def value_at(run: ScoredRun, score: Score, metric: str) -> float | None:
    """The metric at this place: as it was scored, else the mean over the questions; None where these were not kept."""
    if score.metric == metric:
        return score.value
    shares = shares_at(run, score, metric)
    return None if shares is None else fmean(shares.values())


def shares_at(run: ScoredRun, score: Score, metric: str, *, by_row: bool = False) -> dict[str, float] | None:
    """Question -> its value, the mean of which is the metric; None where no results were kept, or where the metric is no mean
    over questions. With `by_row` the question's row in place of its id, which is of the question as it was asked. Raises
    Damaged."""
    found = run.questions_of(score)
    if found is None or not found[1]:
        return None
    try:
        values = values_by_question(*found, metric)
    except UsageError:
        return None
    if not by_row:
        return values
    return {str(result.row): values[result.question] for result in found[1] if result.question in values}
