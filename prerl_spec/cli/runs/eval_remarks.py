"""What `prerl-spec eval` remarks on how models are sampled, and on what became of their responses."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.estimates.local_files import model_codec
from prerl_spec.compiler.estimates.unknown import NotKnown
from prerl_spec.evaluation.packs import packs
from prerl_spec.evaluation.targets import Asked
from prerl_spec.registry.kinds.evaluator import TaskDraw
from prerl_spec.report.tables.score_tables import ScoredModel
from prerl_spec.types import Score

NEARLY_ALL = 0.9
"""The share of cut off, or unparsable, responses from which a score says more of the conditions than of the model."""
MANY = 0.5
"""The share of cut off responses that may be why nearly all are unparsable."""


def equal_responses(draws: Sequence[TaskDraw]) -> Iterator[str]:
    """A warning for each task of which several responses are asked for that can only be equal."""
    for draw in draws:
        samples = draw.samples or 1
        if draw.decoding is not None and draw.decoding.temperature == 0 and samples > 1:
            yield (
                f"{Code.NO_EFFECT}: {draw.task}: --samples {samples} has no effect at temperature 0: all responses to a "
                "question are equal"
            )


def unlike_seeds(evaluator: Any, models: Sequence[Asked]) -> Iterator[str]:
    """A line where models are sampled from different seeds: `compare` refuses such scores, and says so only afterwards."""
    seeds = {model.name: model.target.seed if evaluator.seed is None else evaluator.seed for model in models}
    if len(set(seeds.values())) > 1:
        named = ", ".join(f"{name} {seed}" for name, seed in seeds.items())
        yield f"seeds differ ({named}), and `compare` does not pair such scores: --seed N, or --like RUN, gives all one"


def noted(draw: TaskDraw, chat: Any, model: Mapping[str, Any]) -> TaskDraw:
    """The draw with the note for this command: settings as options, and whether a task that is not ours is asked through the
    chat template of the model of these settings, which `lm_eval --model hf` leaves out."""
    notes = [] if draw.note is None else [re.sub(r'protocol = "([^"]*)"', r"--protocol \1", draw.note)]
    if draw.task not in packs() and chat != "off" and _has_template(model):
        notes.append("asked through the model's chat template; `lm_eval --model hf` asks without it: --chat off")
    return replace(draw, note="; ".join(notes) or None)


def _has_template(model: Mapping[str, Any]) -> bool:
    try:
        return bool(model_codec(model, {}).chat_templates.named)
    except NotKnown:
        return False


def advice(models: Sequence[ScoredModel]) -> Iterator[str]:
    """What to look at, a line each, for tasks whose responses were nearly all cut off, or had no answer; the token limit first,
    for a response that is cut off has no answer yet."""
    for model in models:
        of_task = {score.task: score for score in model.scores}
        for task, score in of_task.items():
            for found in _of_score(score, model.folder):
                yield f"{f'{model.name}: ' if len(models) > 1 else ''}{task}: {found}"


def _of_score(score: Score, folder: str) -> list[str]:
    cut = score.truncated or 0.0
    cut_off = f"{cut:.0%} of the responses were cut off at {score.decoding['max_new_tokens']:,} tokens"
    if cut >= NEARLY_ALL:
        return [f"{cut_off}: raise --max-new-tokens"]
    if score.unparsable is None or score.unparsable < NEARLY_ALL:
        return []
    first = [f"{cut_off}, before an answer perhaps: raise --max-new-tokens first"] if cut >= MANY else []
    return [
        *first,
        f"no answer was found in {score.unparsable:.0%} of the responses: `prerl-spec samples {folder} --task "
        rf"{score.task}` shows them; where the answer is wanted in \boxed{{}}, --system has to say so",
    ]
