"""Checks after each weight push that sampler and trainer compute the same from the same weights, by their log-probabilities of
fixed texts.

Equal weights (weight_check.py) can be used differently: another rotary base, another kernel, a position off by one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from prerl_spec.sdk import Codec, Decoding, PolicyAccess, Request, RunFailed

FLOOR = 1e-4
"""Lower bound of the limit in float32, in nats: rounding differences of two kernels stay near 1e-6."""

HALF_FLOOR = 0.05
"""The same for 16-bit kernels, whose gap is 0.002 to 0.033 and near 0 where the policy is certain of the probe's texts: a small
first gap must not end a sound run whose policy is less certain later. The weights themselves are compared bit for bit."""

GROWTH = 10
"""Maximum ratio of a later gap to the first one."""

QUESTIONS = (
    "What is 17 + 25?",
    "Start with 8. Add 5. Multiply by 2.",
    "Let x be the number of apples in the box. Then",
    "The answer is",
)
"""Prompts that the sampler completes once after the first push; the texts are fixed while the sampler is open."""

DECODING = Decoding(temperature=1.0, max_new_tokens=24)


class Text(NamedTuple):
    """Context token ids, and the token ids that are scored."""

    context: tuple[int, ...]
    tokens: tuple[int, ...]


def probe_requests(codec: Codec, max_length: int) -> tuple[list[Request], Decoding]:
    """The requests that produce the probe's texts: tokens that the sampler itself draws, since unlikely tokens exaggerate
    16-bit rounding."""
    room = max(1, max_length // 2)
    contexts = [(codec.encode(question, special=True) or (0,))[:room] for question in QUESTIONS]
    decoding = DECODING
    if (budget := max_length - room) < decoding.max_new_tokens:
        decoding = Decoding(temperature=decoding.temperature, max_new_tokens=max(1, budget))
    return [Request(context, (index,)) for index, context in enumerate(contexts)], decoding


def floor_of(dtype: torch.dtype) -> float:
    """`FLOOR`, or `HALF_FLOOR` for an engine that computes in 16 bits."""
    return FLOOR if dtype is torch.float32 else HALF_FLOOR


class WeightProbe:
    """Compares sampler and trainer after every push; the first comparison sets the limit of later ones."""

    def __init__(self, policy: PolicyAccess, texts: Sequence[Text], max_gap: float, *, floor: float) -> None:
        self.texts = tuple(texts)
        self._floor = floor
        self._policy = policy
        self._max_gap = max_gap
        self._first: float | None = None

    @property
    def limit(self) -> float:
        """The largest gap that is accepted, in nats: min(max_gap, max(10 × the first gap, floor))."""
        return self._max_gap if self._first is None else min(self._max_gap, max(GROWTH * self._first, self._floor))

    def trainer_logps(self) -> list[list[float]]:
        """For each text the trainer's log-probabilities of its tokens, nats, at temperature 1. A collective call."""
        return [self._policy.logprobs(text.context, text.tokens) for text in self.texts]

    def check(
        self, sampler_logps: Sequence[Sequence[float]], version: int, trainer_logps: Sequence[Sequence[float]]
    ) -> float:
        """The mean |log P_trainer − log P_sampler| over all tokens of the texts, in nats.

        Both have one list per text, one number per token. Raises RunFailed above `limit`, and for a NaN gap.
        """
        pairs = zip(trainer_logps, sampler_logps, strict=True)
        gap = float(np.concatenate([np.abs(np.subtract(ours, theirs)) for ours, theirs in pairs]).mean())
        if not gap <= self.limit:
            first = "" if self._first is None else f"first push: {self._first:.3g}; "
            raise RunFailed(
                f"after update {version} the sampler's log-probabilities differ from the trainer's by {gap:.3g} nats per "
                f"token; the limit is {self.limit:.3g} ({first}max_gap: {self._max_gap:g})",
                hint="the sampler holds the trainer's weights but computes otherwise, so its samples are not trained on; the "
                'last checkpoint is unaffected. Try sampler = "transformers"; if only 16-bit rounding is the cause, raise '
                "max_gap",
            )
        if self._first is None:
            self._first = gap
        return gap
