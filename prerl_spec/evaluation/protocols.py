"""Decoding protocols: how the field samples when it states a score. Data, each number with its source.

A protocol sets decoding and samples; a written setting wins. "task" is no row of this table: what the task's own YAML says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from prerl_spec.evaluation.names import bare
from prerl_spec.types import Decoding

ProtocolName = Literal["off", "task", "greedy", "open-r1", "prerl", "qwen3-thinking"]

_AIME = ("aime24", "aime25", "aime26")
_CONTESTS = (*_AIME, "hmmt_feb25", "hmmt_nov25", "brumo25", "cmimc25", "beyond_aime", "amc23")


@dataclass(frozen=True)
class Protocol:
    """One row: None is the sampler's own. `by_task` tables have names without `_boxed`; `samples` is for all other tasks.

    Example: `Protocol("prerl", "…", temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=8192, samples=32)`.
    """

    name: str
    source: str
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_new_tokens: int | None = None
    samples: int = 1
    max_new_tokens_by_task: Mapping[str, int] = field(default_factory=dict)
    samples_by_task: Mapping[str, int] = field(default_factory=dict)
    unsaid: str = ""
    """Of which tasks the source says nothing, and what is done there."""

    def of_task(self, task: str) -> "Sampling":
        """What it sets for a task."""
        name = bare(task).removesuffix("_boxed")
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            max_new_tokens=self.max_new_tokens_by_task.get(name, self.max_new_tokens),
            samples=self.samples_by_task.get(name, self.samples),
        )


@dataclass(frozen=True)
class Sampling:
    """How one task is to be sampled, as far as a source says so; None is left to the settings."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_new_tokens: int | None = None
    samples: int | None = None

    def decoding(self, base: Decoding) -> Decoding:
        """`base` with what is said here."""
        named = {name: getattr(self, name) for name in ("temperature", "top_p", "top_k", "max_new_tokens")}
        return replace(base, **{name: value for name, value in named.items() if value is not None})

    def differences(self, decoding: Decoding, samples: int) -> list[str]:
        """What is said here and done otherwise: ["T 0.6 (here 1)"]."""
        done = {**vars(decoding), "samples": samples}
        forms = {
            "temperature": "T {}",
            "top_p": "top_p {}",
            "top_k": "top_k {}",
            "max_new_tokens": "{} tokens",
            "samples": "{} samples",
        }
        if self.temperature == decoding.temperature == 0:
            forms = {name: form for name, form in forms.items() if name not in ("top_p", "top_k")}
        return [
            f"{form.format(f'{said:,g}').removesuffix('s' if said == 1 else '')} (here {done[name]:,g})"
            for name, form in forms.items()
            if (said := getattr(self, name)) is not None and said != done[name]
        ]


PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "greedy",
            "the most likely token each time, as lm-eval's generative tasks by default",
            temperature=0.0,
            top_p=1.0,
            top_k=0,
            samples=1,
            unsaid="tokens are those of the settings",
        ),
        Protocol(
            "open-r1",
            "open-r1's README and its issue 633, after DeepSeek-R1 (arXiv:2501.12948): T .6, top_p .95, 32,768 tokens; 64 "
            "responses for AIME, 8 for GPQA, 4 for MATH-500",
            temperature=0.6,
            top_p=0.95,
            top_k=0,
            max_new_tokens=32768,
            samples_by_task={
                **dict.fromkeys(_CONTESTS, 64),
                "math500": 4,
                "hendrycks_math500": 4,
                **dict.fromkeys(("gpqa_diamond", "gpqa_diamond_cot_zeroshot", "gpqa_diamond_generative_n_shot"), 8),
            },
            unsaid="contests that it does not name are sampled as AIME, all other tasks once",
        ),
        Protocol(
            "prerl",
            "the evaluation scripts of the authors of PreRL and NSR: T 1, top_p 1, 8,192 tokens, avg@32",
            temperature=1.0,
            top_p=1.0,
            top_k=0,
            max_new_tokens=8192,
            samples=32,
        ),
        Protocol(
            "qwen3-thinking",
            "the Qwen3 report (arXiv:2505.09388): T .6, top_p .95, top_k 20, 32,768 tokens, 38,912 for AIME; 64 responses for "
            "AIME, 10 for GPQA-Diamond",
            temperature=0.6,
            top_p=0.95,
            top_k=20,
            max_new_tokens=32768,
            max_new_tokens_by_task=dict.fromkeys(_AIME, 38912),
            samples_by_task={
                **dict.fromkeys(_CONTESTS, 64),
                **dict.fromkeys(("gpqa_diamond", "gpqa_diamond_cot_zeroshot", "gpqa_diamond_generative_n_shot"), 10),
            },
            unsaid="contests that it does not name are sampled as AIME in number, all other tasks once",
        ),
    )
}

_TOKENS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
STOCK_TOKENS = 256
"""lm-eval's number of tokens for a task that says none."""


def said_by_task(generation_kwargs: Mapping[str, Any] | None, repeats: int = 1) -> Sampling:
    """What a task's YAML says, read as lm-eval's own models do: greedy unless it samples, 256 tokens unless it says so."""
    said = generation_kwargs or {}
    temperature = float(said.get("temperature", 0.0))
    samples = said.get("do_sample", temperature > 0)
    tokens = next((int(said[name]) for name in _TOKENS if said.get(name) is not None), STOCK_TOKENS)
    return Sampling(
        temperature=(float(said.get("temperature", 1.0)) if samples else 0.0),
        top_p=float(said.get("top_p", 1.0)) if samples else 1.0,
        top_k=int(said.get("top_k", 0)) if samples else 0,
        max_new_tokens=tokens,
        samples=repeats,
    )


def says_tokens(generation_kwargs: Mapping[str, Any] | None) -> bool:
    """Whether a task's YAML names a number of tokens itself."""
    return any((generation_kwargs or {}).get(name) is not None for name in _TOKENS)
