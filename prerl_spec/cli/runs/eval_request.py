"""The evaluator that `prerl-spec eval` was asked for: its settings and tasks are refused before a model is looked at."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.errors import EnvironmentUnmet, UsageError
from prerl_spec.evaluation.installed import declaration
from prerl_spec.evaluation.like import LikeRun
from prerl_spec.evaluation.names import task_of_rows
from prerl_spec.evaluation.tasks.catalogue import check_names
from prerl_spec.evaluation.tasks.local_rows import misplaced_rows
from prerl_spec.evaluation.tasks.rows import require_readable
from prerl_spec.language.suggest import nearest, one_of
from prerl_spec.registry.settings import validate

SETTINGS = (
    *("tasks", "samples", "k", "protocol", "limit", "temperature", "top_p", "max_new_tokens", "seed"),
    *("num_fewshot", "system", "chat"),
)
"""Options that are settings of the evaluator, by their names there."""
HELP = "prerl-spec eval --help"


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
    evaluator: Any
    evaluator, refused = validate(declaration("evaluator", "lm_eval"), settings)
    for one in refused:
        raise _refusal(one, settings)
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


def require_tasks(evaluator: Any) -> None:
    """Refuses what needs no model to be seen: tasks that nobody defines, and local rows that cannot be used.

    Raises UsageError and EnvironmentUnmet, as scoring would.
    """
    check_names(evaluator.tasks, [Path(folder) for folder in evaluator.include])
    for key, file in evaluator.data.items():
        require_readable(task_of_rows(key), Path(file))
    for refusal in evaluator.refusals():
        found = refusal.found if refusal.name in refusal.found else f"`{refusal.name}`: {refusal.found}"
        raise EnvironmentUnmet(found, hint=refusal.hint)


def _alike(like: LikeRun | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of --like. Its k go with its samples, and what a protocol on the command line decides is not its own."""
    if like is None:
        return {}
    without = {"k"} if "samples" in given else set()
    if "protocol" in given:
        without |= {"k", "samples", "temperature", "top_p", "max_new_tokens"}
    return {name: value for name, value in like.settings.items() if name not in without}


def _refusal(refused: Any, settings: Mapping[str, Any]) -> UsageError:
    """The mistake in a setting, named as the option is written."""
    if not refused.steps:
        return UsageError(refused.message, hint=HELP)
    setting = str(refused.steps[0])
    option = f"--{setting.replace('_', '-')}"
    if refused.code == Code.RENAMED:
        return UsageError(f"{option}: {refused.code}: {refused.message}", hint=refused.help)
    message = refused.message.replace(f"`{setting}`", option)
    hint = HELP
    if refused.choices:
        close = nearest(str(settings[setting]), refused.choices)
        hint = f"did you mean {one_of(close)}?" if close else f"choose from {', '.join(refused.choices)}"
    return UsageError(message if option in message else f"{option}: {message}", hint=hint)
