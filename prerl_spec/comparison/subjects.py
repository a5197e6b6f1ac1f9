"""What is compared: tasks that every run was scored on, under conditions that all share."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from prerl_spec.comparison.arms import Absent
from prerl_spec.comparison.conditions import (
    HASH_DIGITS,
    Condition,
    Scored,
    harness_notes,
    series_of,
    shared_conditions,
    template_notes,
)
from prerl_spec.comparison.metrics import metrics_of
from prerl_spec.comparison.scored_run import ScoredRun
from prerl_spec.comparison.track import Track
from prerl_spec.compiler.render.human_units import plural
from prerl_spec.errors import UsageError
from prerl_spec.language.suggest import choice
from prerl_spec.report.page.scores import Protocol

BASE = "base"


@dataclass(frozen=True, eq=False)
class Subject:
    """A task under one condition. `label` is the task, with what tells its conditions apart where there are several; `series`
    has the scores of each run by its folder."""

    task: str
    label: str
    in_words: str
    series: Mapping[str, Scored]
    notes: tuple[str, ...]

    def track(self, run: ScoredRun, metric: str) -> Track:
        return Track(run, self.series[str(run.folder)], metric)


def subjects_of(
    runs: Sequence[ScoredRun], names: Mapping[str, str], allowed: Collection[str] = ()
) -> tuple[list[Subject], list[Absent]]:
    """The subjects in the order of the first run's scores, and the tasks that are left out, each with its reason.

    `names` are what runs are called, by folder; `allowed` is what may differ ("template"). Raises UsageError where runs were
    scored on a task under other conditions, with the field and both values, and where there is no task that all were scored
    on.
    """
    left_out: list[Absent] = []
    found: list[Subject] = []
    for task in dict.fromkeys(score.task for run in runs for score in run.scores):
        without = [run for run in runs if not _series(run, task, allowed)]
        if without:
            few = ", ".join(names[str(run.folder)] for run in without[:3])
            more = f" and {len(without) - 3} more" if len(without) > 3 else ""
            after = " after training" if any(run.trains for run in without) else ""
            left_out.append(Absent(task, f"no score{after} in {few}{more}"))
            continue
        found += _of_task(task, runs, names, allowed)
    if not found:
        words = "; ".join(f"{one.what}: {one.why}" for one in left_out)
        raise UsageError(f"there is no task that all runs were scored on: {words}", hint="score them on the same tasks")
    return found, left_out


def chosen(subjects: Sequence[Subject], task: str | None) -> list[tuple[Subject, str]]:
    """Subjects and metrics: all of them, those of a task, or one "task/metric". Raises UsageError for another name, and for a k
    above the number of samples."""
    metric = None
    if task == "":
        raise UsageError("--task names no task", hint=choice("", _tasks(subjects)))
    if task is not None:
        own = [subject for subject in subjects if subject.task == task]
        if not own and "/" in task:
            name, _, metric = task.rpartition("/")
            own = [subject for subject in subjects if subject.task == name]
        if not own:
            raise UsageError(f"the runs have no scores of {task} in common", hint=choice(task, _tasks(subjects)))
        subjects = own
    return [(s, m) for s in subjects for m in metrics_of(list(s.series.values()), metric, s.task)]


def _tasks(subjects: Sequence[Subject]) -> list[str]:
    return list(dict.fromkeys(subject.task for subject in subjects))


def _series(run: ScoredRun, task: str, allowed: Collection[str]) -> dict[Condition, Scored]:
    """The run's series of a task; those that end before its training has begun say nothing of it."""
    found = series_of(run.scores, task, allowed)
    return {c: one for c, one in found.items() if not run.trains or any(score.phase != BASE for score in one.scores)}


def _of_task(task: str, runs: Sequence[ScoredRun], names: Mapping[str, str], allowed: Collection[str]) -> list[Subject]:
    of_run = {str(run.folder): _series(run, task, allowed) for run in runs}
    shared = shared_conditions(task, {names[folder]: series for folder, series in of_run.items()})
    found = []
    for condition in shared:
        series = {folder: own[condition] for folder, own in of_run.items()}
        protocols = {folder: one.protocol for folder, one in series.items()}
        other_templates = template_notes(task, protocols)
        apart = [condition.apart_from(shared)] if len(shared) > 1 else []
        apart += ["not the same template"] if other_templates else []
        found.append(
            Subject(
                task=task,
                label=f"{task} ({'; '.join(apart)})" if apart else task,
                in_words=_words_of(list(protocols.values())),
                series=series,
                notes=(*harness_notes(task, protocols), *other_templates),
            )
        )
    return found


def _words_of(protocols: Sequence[Protocol]) -> str:
    """The conditions that all runs share, as one line, and every template."""
    p = protocols[0]
    templates = dict.fromkeys(protocol.template_hash[:HASH_DIGITS] for protocol in protocols)
    return (
        f"{plural(p.questions, 'question')} × {plural(p.samples_per_question, 'sample')}; {p.decoding}; {p.harness}; "
        f"task version {p.task_version}, hash {p.task_hash[:HASH_DIGITS]}; template {' and '.join(templates)}"
    )
