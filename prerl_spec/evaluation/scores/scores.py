"""Scores with their conditions: value and interval, n, seed, decoding, versions and token budget."""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from math import isnan
from typing import Any

from prerl_spec.evaluation.scores.at_k import at_k_metrics
from prerl_spec.evaluation.scores.question_results import QuestionResult
from prerl_spec.evaluation.scores.responses import Responses
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.statistics.intervals import SHARES, Interval, share_interval
from prerl_spec.text import Codec
from prerl_spec.types import NO_INTERVAL, Decoding, Draw, Rendering, Score


@dataclass(frozen=True)
class Identity:
    """A task in a specific version: `Identity("math500_boxed", "lm-eval 0.4.13", "1", "9f…", "03…")`; `fewshot` as a score has
    it."""

    task: str
    harness: str
    task_version: str
    task_hash: str
    template_hash: str
    fewshot: str = "task"


def right_scores(
    site: EvaluationSite,
    what: Identity,
    draw: Draw,
    results: Sequence[QuestionResult],
    metrics: Sequence[str] | None = None,
) -> list[Score]:
    """avg@n, pass@k for every wanted k, and where k is written maj@k and G-Pass@k, of questions with n responses each; or
    these metrics alone.

    For n = 1 avg@1 and pass@1 are equal; both are returned, so that "task/avg@1" and "task/pass@1" are both valid names.
    Raises UsageError for a k above n.
    """
    responses, found = Responses.of(results), []
    has_answers = all(result.votes is not None for result in results)
    for metric in metrics or at_k_metrics(draw, has_answers=has_answers):
        share_Q = [value for result in results if (value := result.value(metric)) is not None]
        found.append(score(site, what, draw, metric, share_interval(share_Q), SHARES, len(results), responses))
    return found


def score(
    site: EvaluationSite,
    what: Identity,
    draw: Draw,
    metric: str,
    interval: Interval,
    construction: str,
    num_questions: int,
    responses: Responses,
) -> Score:
    """One line of scores.json."""
    return Score(
        phase=site.phase,
        global_step=site.global_step,
        task=what.task,
        metric=metric,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        questions=num_questions,
        samples_per_question=draw.samples,
        seed=draw.seed,
        decoding={**decoding_table(draw.decoding), **({"sampler": site.sampled_by} if site.sampled_by else {})},
        harness=what.harness,
        task_version=what.task_version,
        task_hash=what.task_hash,
        template_hash=what.template_hash,
        generated_tokens=site.generated_tokens,
        trained_tokens=site.trained_tokens,
        protocol=draw.protocol,
        truncated=responses.truncated,
        unparsable=responses.unparsable,
        mean_length=responses.mean_length,
        tokens_scored=responses.tokens,
        interval=NO_INTERVAL if isnan(interval.low) else construction,
        fewshot=what.fewshot,
    )


def decoding_table(decoding: Decoding) -> dict[str, Any]:
    """A decoding as a JSON object."""
    return {**asdict(decoding), "stop": list(decoding.stop)}


def template_hash(codec: Codec, rendering: Rendering, num_fewshot: int | None, first_input: Sequence[int]) -> str:
    """Hash of how a question becomes model input: the chat template with its arguments, the system prompt, the number
    of few-shot examples, and the token ids of the first question."""
    template = codec.template_for(rendering.chat)
    return digest(
        {
            "chat_template": None if template is None else template.text,
            "chat": "off" if template is None else rendering.chat,
            "system": rendering.system,
            "num_fewshot": num_fewshot,
            "first_input": list(first_input),
        }
    )


def digest(value: Any) -> str:
    """SHA-256 of a value as sorted JSON; a function is represented by its source."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=_as_json)
    return sha256(text.encode()).hexdigest()


def harness_version() -> str:
    return f"lm-eval {version('lm-eval')}"


def own_version() -> str:
    return f"prerl-spec {version('prerl-spec')}"


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if callable(value):
        try:
            return inspect.getsource(value)
        except (OSError, TypeError):
            return getattr(value, "__qualname__", type(value).__qualname__)
    return str(value)
