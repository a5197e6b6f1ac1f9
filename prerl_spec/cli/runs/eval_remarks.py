"""What `prerl-spec eval` remarks on how models are sampled, and on what became of their responses."""

from collections.abc import Iterator, Sequence

from prerl_spec.codes import Code
from prerl_spec.registry.kinds.evaluator import TaskDraw
from prerl_spec.report.tables.score_tables import ScoredModel
from prerl_spec.types import Score

NEARLY_ALL = 0.9
"""The share of cut off, or unparsable, responses from which a score says more of the conditions than of the model."""


def equal_responses(draws: Sequence[TaskDraw]) -> Iterator[str]:
    """A warning for each task of which several responses are asked for that can only be equal."""
    for draw in draws:
        samples = draw.samples or 1
        if draw.decoding is not None and draw.decoding.temperature == 0 and samples > 1:
            yield (
                f"{Code.NO_EFFECT}: {draw.task}: --samples {samples} has no effect at temperature 0: all responses to a "
                "question are equal"
            )


def advice(models: Sequence[ScoredModel]) -> Iterator[str]:
    """A line for each task whose responses were nearly all cut off, or had no answer: what to look at."""
    for model in models:
        of_task = {score.task: score for score in model.scores}
        for task, score in of_task.items():
            if (found := _of_score(score, model.folder)) is not None:
                yield f"{f'{model.name}: ' if len(models) > 1 else ''}{task}: {found}"


def _of_score(score: Score, folder: str) -> str | None:
    if score.truncated is not None and score.truncated >= NEARLY_ALL:
        tokens = score.decoding["max_new_tokens"]
        return f"{score.truncated:.0%} of the responses were cut off at {tokens:,} tokens: raise --max-new-tokens"
    if score.unparsable is not None and score.unparsable >= NEARLY_ALL:
        return (
            f"no answer was found in {score.unparsable:.0%} of the responses: `prerl-spec samples {folder} --task "
            rf"{score.task}` shows them; where the answer is wanted in \boxed{{}}, --system has to say so"
        )
    return None
