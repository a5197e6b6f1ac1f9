"""The conditions under which a run scores, for scoring other models alike: `prerl-spec eval --like RUN`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prerl_spec.compiler.build_graph import registry_of
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.errors import UsageError
from prerl_spec.evaluation.conditions import BEFORE_THE_FIRST, conditions_of, registry_for
from prerl_spec.evaluation.names import task_of_rows
from prerl_spec.storage.sealed import read_object

OF_EVERY_EVALUATOR = ("samples", "temperature", "top_p", "max_new_tokens", "limit", "seed")
_WHEN = ("at", "every")


@dataclass(frozen=True)
class LikeRun:
    """`settings` are those of the run's evaluator, without defaults that other settings decide; `of_target` is the rest: seed,
    rendering, sampling, verifier and determinism, by the names of `Target`."""

    settings: Mapping[str, Any]
    of_target: Mapping[str, Any]


def like_run(text: str, tasks: Sequence[str] | None, *, local_code: bool = False) -> LikeRun:
    """The conditions of a run folder's, or of a spec's, last evaluation.

    They are those of its first `lm_eval` evaluator that names the tasks (None: any), else of its first, else what every
    evaluator has of its first of another kind. Raises UsageError for a folder or spec without an evaluator, Damaged.
    """
    path = Path(text)
    if (path / "plan.json").is_file():
        plan = read_object(path / "plan.json")
        registry = registry_for(path / "plan.json", plan, local_code)
    elif path.suffix == ".toml" or path.is_file():
        compiled = compile_spec(path, local_code=local_code)
        plan, registry = compiled.plan.as_json(), registry_of(compiled.plan)
    else:
        raise UsageError(f"--like: {text} is neither a run folder nor a spec", hint="name a run that scores its models")
    last = len(plan["phases"]) - 1 if plan["phases"] else BEFORE_THE_FIRST
    return LikeRun(_settings(text, plan, tasks), conditions_of(plan, last, registry))


def _settings(text: str, plan: Mapping[str, Any], tasks: Sequence[str] | None) -> dict[str, Any]:
    evaluators = [entry["component"] for entry in plan["evaluators"]]
    if not evaluators:
        raise UsageError(f"--like: {text} has no evaluator", hint="name a run whose spec has [[evaluate]]")
    of_tasks = [one for one in evaluators if one["use"] == "lm_eval"]
    naming = [one for one in of_tasks if tasks is not None and set(tasks) <= set(one["settings"]["tasks"])]
    if not of_tasks:
        settings = evaluators[0]["settings"]
        return {name: settings[name] for name in OF_EVERY_EVALUATOR if settings.get(name) is not None}
    settings = dict((naming or of_tasks)[0]["settings"])
    wanted = settings["tasks"] if tasks is None else tasks
    settings["data"] = {task: file for task, file in settings["data"].items() if task_of_rows(task) in wanted}
    return {name: value for name, value in settings.items() if value is not None and name not in _WHEN}
