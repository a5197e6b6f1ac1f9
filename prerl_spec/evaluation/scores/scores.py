"""Scores with their conditions: value and interval, n, seed, decoding, versions and token budget."""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.statistics.intervals import Interval, share_interval
from prerl_spec.statistics.pass_at_k import avg_at_k, pass_at_k
from prerl_spec.text import Codec
from prerl_spec.types import Decoding, Draw, Rendering, Score


@dataclass(frozen=True)
class Identity:
    """A task in a specific version: `Identity("math500", "lm-eval 0.4.13", "1", "9f…", "03…")`."""

    task: str
    harness: str
    task_version: str
    task_hash: str
    template_hash: str


def right_scores(site: EvaluationSite, what: Identity, draw: Draw, num_right_Q: Sequence[int]) -> list[Score]:
    """avg@k and pass@k for Q questions with k responses each. For k = 1 they are equal; both are returned, so that
    "task/avg@1" and "task/pass@1" are both valid names."""
    k = draw.samples
    intervals = {
        f"avg@{k}": share_interval([avg_at_k(c, k) for c in num_right_Q]),
        f"pass@{k}": share_interval([pass_at_k(c, k, k) for c in num_right_Q]),
    }
    return [score(site, what, draw, metric, found, len(num_right_Q)) for metric, found in intervals.items()]


def score(
    site: EvaluationSite, what: Identity, draw: Draw, metric: str, interval: Interval, num_questions: int
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
