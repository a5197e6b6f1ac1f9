"""What `prerl-spec eval` was asked for: the evaluator with its settings, and the models with their samplers and folders."""

import argparse
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prerl_spec.codes import Code
from prerl_spec.errors import EnvironmentUnmet, UsageError
from prerl_spec.evaluation.harness.local_rows import misplaced_rows
from prerl_spec.evaluation.like import LikeRun
from prerl_spec.evaluation.model_folders import model_names
from prerl_spec.evaluation.samplers import chosen_sampler
from prerl_spec.evaluation.score_target import Asked
from prerl_spec.evaluation.targets import Target, component, find_target
from prerl_spec.registry.settings import RENAMED

SEVERAL = Path("eval-models")
"""The output folder of several models, unless another is named."""
SETTINGS = (
    *("tasks", "samples", "k", "protocol", "limit", "temperature", "top_p", "max_new_tokens", "seed"),
    *("num_fewshot", "system", "chat"),
)
"""Options that are settings of the evaluator, by their names there."""


def evaluator_of(arguments: argparse.Namespace, like: LikeRun | None) -> Any:
    """The `lm_eval` component with the settings of the command line, over those of --like.

    Raises UsageError for an invalid setting, EnvironmentUnmet for a folder of --include whose YAML files run code, unless that
    is allowed.
    """
    written = {name: getattr(arguments, name) for name in SETTINGS}
    written["include"] = arguments.include and [os.path.expanduser(folder) for folder in arguments.include]
    written["data"] = dict(arguments.data) if arguments.data else None
    given = {name: value for name, value in written.items() if value is not None}
    settings = {**_alike(like, given), **given}
    if "tasks" not in settings:
        raise UsageError("no tasks are named", hint="--tasks A,B, or --like RUN for those of a run")
    try:
        evaluator = component("evaluator", "lm_eval", settings)
    except ValidationError as error:
        raise _refused(error.errors()[0]) from error
    if (misplaced := misplaced_rows(evaluator.data, evaluator.tasks)) is not None:
        found, hint = misplaced
        raise UsageError(f"--data {found}".replace("`tasks`", "--tasks"), hint=hint)
    if (too_large := evaluator.too_large_k()) is not None:
        raise UsageError(f"--k: {too_large}", hint="raise --samples, or leave that k out")
    if not arguments.local_code:
        for code in evaluator.local_code():
            raise EnvironmentUnmet(
                f"{Code.PLUGIN_IMPORT_FAILED}: --include: {code.what}", hint="--local-code allows it"
            )
    return evaluator


def models_of(arguments: argparse.Namespace, like: LikeRun | None) -> list[Asked]:
    """The models in the order of the command line. Raises UsageError for a target that is not there or is named twice, and for
    a sampler's setting; EnvironmentUnmet for Python files that are not allowed."""
    several = len(arguments.targets) > 1
    names = model_names(arguments.targets) if several else [""]
    out = arguments.out if arguments.out is not None or not several else SEVERAL
    models = []
    for text, name in zip(arguments.targets, names, strict=True):
        target = _with_conditions(find_target(text, local_code=arguments.local_code), arguments, like)
        sampler = chosen_sampler(
            arguments.sampler,
            target.sampling,
            urls=arguments.url,
            key=arguments.key_from,
            engine=dict(arguments.engine),
        )
        folder = out / name if several else out if out is not None else target.out
        models.append(Asked(name or target.name, target, sampler, folder))
    return models


def _alike(like: LikeRun | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of --like. Its k go with its samples, and what a protocol on the command line decides is not its own."""
    if like is None:
        return {}
    without = {"k"} if "samples" in given else set()
    if "protocol" in given:
        without |= {"k", "samples", "temperature", "top_p", "max_new_tokens"}
    return {name: value for name, value in like.settings.items() if name not in without}


def _with_conditions(target: Target, arguments: argparse.Namespace, like: LikeRun | None) -> Target:
    alike = target if like is None else replace(target, **like.of_target)
    return replace(alike, invariant=True) if arguments.invariant else alike


def _refused(error: Any) -> UsageError:
    """The mistake in a setting, named as the option is written."""
    if not error["loc"]:
        return UsageError(str(error["msg"]).removeprefix("Value error, "), hint="prerl-spec eval --help")
    option = str(error["loc"][0]).replace("_", "-")
    if error["type"] == RENAMED:
        return UsageError(f"--{option}: {Code.RENAMED}: {error['msg']}", hint=error["ctx"]["help"])
    return UsageError(f"--{option}: {str(error['msg']).removeprefix('Value error, ')}", hint="prerl-spec eval --help")
