"""Opens what is compared: run folders, and folders that `eval` has written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prerl_spec.comparison.lineage import steps_behind
from prerl_spec.comparison.scored_run import Questions, ScoredRun, SeedKey
from prerl_spec.compiler.compare.seeds import PLAN, model_seed
from prerl_spec.compiler.past_runs.run_folder import has_begun
from prerl_spec.compiler.plan import Plan
from prerl_spec.errors import UsageError
from prerl_spec.evaluation.scores.question_results import question_headers, results_among
from prerl_spec.report.tables.run_tables import RunRecord, complete_score, read_run
from prerl_spec.storage.sealed import read_array
from prerl_spec.types import Score

_OF_ONE_METRIC = ("metric", "value", "low", "high", "interval")
EVENTS, SCORES = "events.jsonl", "scores.json"


def is_run(folder: Path) -> bool:
    return (folder / PLAN).is_file() or has_begun(folder)


def is_scored_model(folder: Path) -> bool:
    """Whether `eval` has written the folder."""
    return (folder / SCORES).is_file() and not is_run(folder)


def open_run(folder: Path, plan: Plan) -> ScoredRun | str:
    """The run of a plan, or why it cannot be compared yet. Raises Damaged, RunFailed for a score with missing fields."""
    if not (folder / EVENTS).is_file():
        return "not begun"
    record = read_run(folder)
    if not record.ended:
        return "unfinished"
    if not record.scores:
        return "it has no scores"
    return scored_run(folder, plan, record)


def scored_run(folder: Path, plan: Plan, record: RunRecord) -> ScoredRun:
    """A finished run."""
    begins, steps = steps_behind(folder, plan, record)
    return ScoredRun(
        folder=folder,
        name=record.name,
        key=SeedKey(plan.seed, model_seed(plan)),
        base=_base(plan),
        base_content="" if plan.start is None or plan.start.found is None else plan.start.found.content,
        asked=_asked(plan),
        scores=record.scores,
        steps=steps,
        begins=begins,
        trains=bool(plan.phases),
        questions_of=_kept_questions(folder),
    )


def open_scored_model(folder: Path) -> ScoredRun:
    """A folder of `eval`: scores of one model as it is. Raises Damaged, RunFailed for a score with missing fields, UsageError
    for a folder that holds the scores of several places."""
    file = folder / SCORES
    scores = tuple(complete_score(row, f"{file}[{n}]") for n, row in enumerate(read_array(file)))
    if not scores:
        raise UsageError(f"{file} has no scores", hint="`prerl-spec eval` writes them")
    places = dict.fromkeys((score.phase, score.global_step) for score in scores)
    if len(places) > 1:
        words = " and ".join(f"{phase} at step {step}" for phase, step in places)
        raise UsageError(
            f"{folder} has scores of several checkpoints: {words}",
            hint="score each checkpoint into a folder of its own, with `eval --out DIR`",
        )
    name = folder.resolve().name
    return ScoredRun(
        folder=folder,
        name=folder.resolve().parent.name if name == "eval" else name,
        key=SeedKey(scores[0].seed, None),
        base="",
        scores=scores,
        trains=False,
        questions_of=_kept_questions(folder),
    )


def _base(plan: Plan) -> str:
    """What the first phase begins with, in words that are equal where the weights are."""
    if plan.start is not None:
        content = "" if plan.start.found is None else f" ({plan.start.found.content[:12]})"
        return f"{plan.start.origin}{content}"
    seed = model_seed(plan)
    name = plan.model.settings.get("name")
    return f"{plan.model.use} {name or ''}".strip() if seed is None else f"fresh weights of model.seed {seed}"


def _asked(plan: Plan) -> tuple[str, ...]:
    phases = () if plan.streams == "phase" else tuple(f"{phase.id} {phase.steps}" for phase in plan.phases)
    return (plan.streams, *phases)


def _kept_questions(folder: Path) -> Callable[[Score], Questions | None]:
    known: dict[str, Questions] = {}
    headers: list[tuple[Path, dict[str, Any]]] = []

    def of(score: Score) -> Questions | None:
        # Every metric of an evaluation, and every pair that a run is part of, is told from the same file.
        row = score.as_row()
        evaluation = json.dumps({key: value for key, value in row.items() if key not in _OF_ONE_METRIC}, sort_keys=True)
        headers.extend(() if headers else question_headers(folder))
        if evaluation not in known and (found := results_among(headers, row)) is not None:
            known[evaluation] = found
        return known.get(evaluation)

    return of
