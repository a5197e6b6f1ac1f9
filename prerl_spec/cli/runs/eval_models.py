"""The models that `prerl-spec eval` was asked for, with their samplers and folders."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from prerl_spec.compiler.estimates.local_files import model_config
from prerl_spec.compiler.estimates.unknown import NotKnown
from prerl_spec.compiler.planning.fits import context_length
from prerl_spec.engine.batches.source import decoding_of
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.evaluation.like import LikeRun
from prerl_spec.evaluation.model_folders import model_names
from prerl_spec.evaluation.samplers import chosen_sampler
from prerl_spec.evaluation.targets import Asked, Target, enclosing_run, find_target

SEVERAL = Path("eval-models")
"""The output folder of several models, unless another is named."""


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


def _with_conditions(target: Target, arguments: argparse.Namespace, like: LikeRun | None) -> Target:
    alike = target if like is None else replace(target, **like.of_target)
    return replace(alike, invariant=True) if arguments.invariant else alike


def require_room(evaluator: Any, models: list[Asked]) -> None:
    """Refuses, by the models' config.json alone, responses that would fill a context without any question.

    Raises EnvironmentUnmet; a configuration that is not on this machine is looked at when the model is loaded.
    """
    for model in models:
        settings = model.target.model.settings()
        try:
            limit = context_length(model_config(settings, None))
        except NotKnown:
            continue
        for draw in evaluator.task_draws(decoding_of(model.sampler.component)):
            if limit is None or draw.decoding is None or not draw.generates or draw.decoding.max_new_tokens < limit:
                continue
            run = enclosing_run(Path(str(settings.get("name"))))
            alike = "" if run is None else f", or score as the run that it lies in: --like {run}"
            raise EnvironmentUnmet(
                f"{model.name}: {draw.task} may sample {draw.decoding.max_new_tokens:,} new tokens; the model's context "
                f"holds {limit:,}, the question's included",
                hint=f"--max-new-tokens below {limit:,} by the length of the longest question{alike}",
            )
