"""Run folders with real plans, made-up steps and scores that are what their questions say; studies; folders of `eval`."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.plan import Plan, StartPlan, StartPoint
from prerl_spec.compiler.planning.digest import digest_of_plan
from prerl_spec.evaluation.scores.question_results import QuestionResult, question_ids, write_questions
from prerl_spec.statistics.pass_at_k import pass_at_k
from prerl_spec.storage.chained_lines import append_lines, read_lines
from prerl_spec.storage.checks import START
from prerl_spec.storage.sealed import read_object
from tests.compiler.specs import TINY
from tests.run_files import write_events, write_object, write_scores

QUESTIONS = 40
SAMPLES = 4
TASK = "easy"


@cache
def plan_of_spec() -> Plan:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "spec.toml"
        file.write_text(TINY, encoding="utf-8")
        return compile_spec(file).plan


def plan_of(arm: float, seed: int, *, name: str = "tiny", model_seed: int | None = 0) -> Plan:
    """The tiny plan with this coefficient in its last phase: what its arms differ in."""
    plan = plan_of_spec()
    last = plan.phases[-1]
    objective = replace(last.objective, settings={**last.objective.settings, "coefficient": arm})
    seeded = {} if model_seed is None else {"seed": model_seed}
    model = replace(plan.model, settings={**plan.model.settings, **seeded})
    changed = replace(
        plan, name=name, seed=seed, model=model, phases=(*plan.phases[:-1], replace(last, objective=objective))
    )
    return replace(changed, digest=digest_of_plan(changed))


def started(plan: Plan, run: Path, global_step: int) -> Plan:
    """The plan, to begin where this run has ended."""
    point = StartPoint(
        run=str(run.resolve()),
        phase="refine",
        ended=True,
        checkpoint=str(run.resolve() / "checkpoints" / f"step-{global_step:06d}"),
        content=str(read_object(run / "plan.json")["digest"]),
        step=global_step,
        global_step=global_step,
        generated_tokens=0,
        trained_tokens=0,
        max_steps=global_step,
        optimizer=None,
        optimizer_use=("adamw", "prerl-spec"),
        lr_schedule="restart",
        reference="resync",
        data="carry",
        kept_reference=None,
        initial_model="00" * 32,
    )
    changed = replace(plan, start=StartPlan(f"{run.name}@refine", (str(run.resolve()),), "refine", point))
    return replace(changed, digest=digest_of_plan(changed))


@dataclass(frozen=True)
class Made:
    """What a made-up run does: its share of right after each scored step, and what a step takes."""

    arm: float = 1.0
    seed: int = 0
    name: str = "tiny"
    model_seed: int | None = 0
    level: Callable[[int], float] = lambda step: 0.2 + 0.02 * step
    steps: int = 20
    every: int = 4
    generated: int = 1000
    seconds: float = 2.0
    applied: int = 1
    ended: bool = True
    samples: int = SAMPLES
    questions: int = QUESTIONS
    keeps_questions: bool = True
    conditions: Mapping[str, Any] = field(default_factory=dict)
    task: str = TASK
    start: Path | None = None
    """A run that this one continues from its end, and the number of its steps."""


def write_run(folder: Path, made: Made) -> Path:
    """Writes the folder: plan, events, scores and the results of single questions; returns it."""
    folder.mkdir(parents=True)
    plan = plan_of(made.arm, made.seed, name=made.name, model_seed=made.model_seed)
    first = 0
    if made.start is not None:
        first = max(e["global_step"] for e in read_lines(made.start / "events.jsonl").entries if e["event"] == "step")
        plan = started(plan, made.start, first)
    (folder / "plan.json").write_text(plan.text(), encoding="utf-8")
    events: list[dict[str, Any]] = [evaluation(folder, made, "base", first)]
    for step in range(first + 1, first + made.steps + 1):
        events.append(step_event(made, step))
        if step % made.every == 0 or step == first + made.steps:
            events.append(evaluation(folder, made, "refine", step))
    if made.ended:
        events.append({"event": "end", "global_step": first + made.steps, "time": 1.0})
    write_events(folder / "events.jsonl", events)
    write_scores(folder / "scores.json", [s for e in events if e["event"] == "evaluate" for s in e["scores"]])
    return folder


def step_event(made: Made, step: int) -> dict[str, Any]:
    return {
        "event": "step",
        "phase": "refine",
        "step": step,
        "global_step": step,
        "updates": 1,
        "applied": made.applied,
        "metrics": {"reward_mean": made.level(step)},
        "tokens": {"generated": made.generated, "trained": made.generated * made.applied},
        "seconds": {"sample": made.seconds / 2, "verify": 0.0, "train": made.seconds / 2, "total": made.seconds},
        "hashes": {"journal": None, "credit": "0", "weights": f"{made.arm} {made.seed} {step}"},
        "time": 1.0,
    }


def evaluation(folder: Path, made: Made, phase: str, step: int) -> dict[str, Any]:
    scores = scores_at(folder / "evaluation", made, phase, step)
    return {
        "event": "evaluate",
        "phase": phase,
        "global_step": step,
        "evaluator": 0,
        "use": "holdout",
        "seconds": 1.0,
        "scores": scores,
        "time": 1.0,
    }


def scores_at(folder: Path, made: Made, phase: str, step: int) -> list[dict[str, Any]]:
    """avg@k and pass@k of what the questions say; their file is written below `folder`."""
    results = results_at(made, step)
    conditions = {
        "phase": phase,
        "global_step": step,
        "task": made.task,
        "seed": 7,
        "decoding": {"temperature": 1.0, "top_p": 1.0},
        "harness": "prerl-spec 0.1.0",
        "task_version": "1",
        "task_hash": "ab12" * 16,
        "template_hash": "cd34" * 16,
        **made.conditions,
    }
    k = made.samples
    metrics = {f"avg@{k}": "mean", f"pass@{k}": "mean"}
    if made.keeps_questions:
        write_questions(folder, {**conditions, "metrics": metrics, "samples": k}, results)
    values = {
        f"avg@{k}": fmean(r.right / k for r in results if r.right is not None),
        f"pass@{k}": fmean(pass_at_k(r.right, k, k) for r in results if r.right is not None),
    }
    return [
        {
            **conditions,
            "metric": metric,
            "value": value,
            "low": 0.0,
            "high": 1.0,
            "questions": made.questions,
            "samples_per_question": k,
            "generated_tokens": step * made.generated,
            "trained_tokens": step * made.generated * made.applied,
        }
        for metric, value in values.items()
    ]


def results_at(made: Made, step: int) -> list[QuestionResult]:
    """Each question with a difficulty of its own, the same in every run, and this run's luck."""
    template = made.conditions.get("template_hash", "")
    ids = question_ids((f"{template}what is {made.task} {n}?", str(n)) for n in range(made.questions))
    luck = random.Random(f"{made.seed} {made.arm if step else ''} {step}")
    shares = [
        min(0.98, max(0.02, made.level(step) + 0.3 * random.Random(n).uniform(-1, 1))) for n in range(made.questions)
    ]
    rights = [sum(luck.random() < share for _ in range(made.samples)) for share in shares]
    return [
        QuestionResult(question, n, right=right, samples=made.samples, truncated=0, unparsable=0, tokens=40)
        for n, (question, right) in enumerate(zip(ids, rights, strict=True))
    ]


def write_model(folder: Path, made: Made) -> Path:
    """A folder as `eval` writes it."""
    folder.mkdir(parents=True)
    write_scores(folder / "scores.json", scores_at(folder, made, "base", 0))
    return folder


def write_study(
    folder: Path, arms: Mapping[str, Made], seeds: Sequence[int], *, primary: str | None = f"{TASK}/pass@1", **said: Any
) -> Path:
    """A study's folder whose cells are all finished."""
    cells: list[dict[str, Any]] = [
        {"arm": arm, "seed": seed, "folder": f"cells/{arm}/seed-{seed}"} for seed in seeds for arm in arms
    ]
    for cell in cells:
        made = arms[cell["arm"]]
        write_run(folder / cell["folder"], replace(made, seed=cell["seed"]))
    written = {
        "format": 1,
        "name": "demo",
        "digest": "00" * 32,
        "arms": list(arms),
        "seeds": list(seeds),
        "match": "generated_tokens",
        "budget": None,
        "primary": primary,
        "base": "pairs on one base: model.seed = 0",
        "cells": cells,
    }
    write_object(folder / "study.json", {**written, **said})
    lines = [{"event": "end", "cell": f"{cell['arm']}/{cell['seed']}", "time": 1.0} for cell in cells]
    append_lines(folder / "state.jsonl", lines, START)
    return folder
