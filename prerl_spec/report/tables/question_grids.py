"""What each question was scored at each place: the ends of phases of a run, or the folders of `eval`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from prerl_spec.evaluation.scores.question_results import MEAN, QuestionResult, results_of
from prerl_spec.report.tables.arms import Arm
from prerl_spec.report.tables.run_tables import RunRecord
from prerl_spec.statistics.pass_at_k import pass_at_k
from prerl_spec.types import Score

_CONDITIONS = ("task", "samples", "decoding", "harness", "task_version", "task_hash", "template_hash")


@dataclass(frozen=True)
class Asked:
    """The questions of one task at one moment of one run, with the score that they belong to."""

    run: RunRecord
    score: Score
    conditions: str
    results: tuple[QuestionResult, ...]

    def shares(self) -> dict[str, float]:
        """Question id -> its value of the score's metric."""
        values = {result.question: result.value(self.score.metric) for result in self.results}
        return {question: value for question, value in values.items() if value is not None}

    def pass_at(self, k: int) -> list[float]:
        """pass@k of each question that a verifier has judged."""
        judged = [(r.right, r.samples) for r in self.results]
        return [pass_at_k(right, samples, k) for right, samples in judged if right is not None and samples is not None]

    @property
    def mean_length(self) -> float | None:
        """Tokens a response; None where nothing was sampled."""
        counted = [(r.tokens, r.samples) for r in self.results if r.tokens is not None and r.samples]
        responses = sum(samples or 0 for _, samples in counted)
        return sum(tokens or 0 for tokens, _ in counted) / responses if responses else None


@dataclass(frozen=True)
class Place:
    """A column of scores: `Place("prune", asked)`, one of `asked` a seed. `share_of` are means over the seeds."""

    label: str
    asked: tuple[Asked, ...]
    share_of: Mapping[str, float]


@dataclass(frozen=True)
class Grid:
    """The questions of a task at several places, under the same conditions; `questions` are ids, the easiest first."""

    title: str
    conditions: str
    task: str
    metric: str
    samples: int
    places: tuple[Place, ...]
    questions: tuple[str, ...]
    row_of: Mapping[str, int]

    def share_Q(self, place: Place) -> tuple[float | None, ...]:
        return tuple(place.share_of.get(question) for question in self.questions)


def question_grids(arms: Sequence[Arm]) -> list[Grid]:
    """A grid for each task of each arm that trained, and one for each task of all folders of `eval` together.

    Scores without kept questions, and aggregates that are no mean over questions, have none. Raises Damaged.
    """
    trained = [[(s.phase, asked) for s, asked in _by_phase(arm)] for arm in arms if _has_trained(arm)]
    titles = [arm.title for arm in arms if _has_trained(arm)]
    models = [(_place_name(arm, asked), asked) for arm in arms if not _has_trained(arm) for _, asked in _by_phase(arm)]
    grids = [g for title, found in zip(titles, trained, strict=True) for g in _grids(title, found)]
    return [*grids, *_grids("", models)]


def asked_of(run: RunRecord, scores: Iterable[Score]) -> list[Asked]:
    """The kept questions behind these scores: one for each phase, step, task and condition, by its first mean over questions.

    Raises Damaged.
    """
    found: dict[tuple[str, int, str], Asked] = {}
    for score in scores:
        key = (score.phase, score.global_step, conditions_of(score))
        if key in found:
            continue
        kept = results_of(run.folder, score.as_row())
        if kept is None:
            continue
        header, results = kept
        asked = Asked(run, score, key[2], tuple(results))
        if header["metrics"].get(score.metric) == MEAN and all(0 <= v <= 1 for v in asked.shares().values()):
            found[key] = asked
    return list(found.values())


def last_of_each_phase(scores: Sequence[Score]) -> list[Score]:
    """The scores of the latest global step of each phase, by task and conditions."""
    latest: dict[tuple[str, str], int] = {}
    for score in scores:
        key = (score.phase, conditions_of(score))
        latest[key] = max(score.global_step, latest.get(key, 0))
    return [s for s in scores if s.global_step == latest[s.phase, conditions_of(s)]]


def conditions_of(score: Score) -> str:
    """What scores of the same questions share: all conditions but the evaluation's seed, which is the run's where none is
    written."""
    row = score.as_row() | {"samples": score.samples_per_question}
    return json.dumps({name: row[name] for name in _CONDITIONS}, sort_keys=True)


def _by_phase(arm: Arm) -> list[tuple[Score, tuple[Asked, ...]]]:
    """The places of an arm: for each phase, task and condition the questions of all its seeds."""
    places: dict[tuple[str, str], list[Asked]] = {}
    for run in arm.runs:
        for asked in asked_of(run, last_of_each_phase(run.scores)):
            places.setdefault((asked.conditions, asked.score.phase), []).append(asked)
    return [(members[0].score, tuple(members)) for members in places.values()]


def _grids(title: str, found: Sequence[tuple[str, tuple[Asked, ...]]]) -> list[Grid]:
    by_task: dict[str, list[Place]] = {}
    for label, asked in found:
        shares = [one.shares() for one in asked]
        common = [question for question in shares[0] if all(question in other for other in shares)]
        means = {question: fmean(own[question] for own in shares) for question in common}
        by_task.setdefault(asked[0].conditions, []).append(Place(label, asked, means))
    grids = []
    for conditions, places in by_task.items():
        score = places[0].asked[0].score
        known = dict.fromkeys(question for place in places for question in place.share_of)
        rows = {r.question: r.row for place in places for one in place.asked for r in one.results}
        order = sorted(known, key=lambda question: (*_ease(places, question), rows[question]))
        samples = score.samples_per_question
        grids.append(Grid(title, conditions, score.task, score.metric, samples, tuple(places), tuple(order), rows))
    return grids


def _ease(places: Sequence[Place], question: str) -> tuple[float, float]:
    """Easiest first: the mean over the places, then the last of them."""
    shares = [place.share_of[question] for place in places if question in place.share_of]
    return -fmean(shares), -shares[-1]


def _has_trained(arm: Arm) -> bool:
    return any(run.steps for run in arm.runs)


def _place_name(arm: Arm, asked: Sequence[Asked]) -> str:
    """The folder, with the phase where it holds several."""
    phases = {score.phase for run in arm.runs for score in run.scores}
    return arm.name if len(phases) == 1 else f"{arm.name}, {asked[0].score.phase}"
