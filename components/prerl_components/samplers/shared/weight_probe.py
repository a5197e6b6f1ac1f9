"""Whether a sampler with weights of its own has the trainer's: the log-probabilities of fixed texts, from both, after each
push.

A push can go wrong without an error: a packed copy that is not packed anew, a tied head, a layer under another name.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from prerl_spec.sdk import Codec, Decoding, PolicyAccess, Request, RunFailed

FLOOR = 1e-4
"""Nats: rounding of two float32 kernels stays near 1e-6."""

GROWTH = 10
"""How many times the first gap a later one may be."""

QUESTIONS = (
    "What is 17 + 25?",
    "Start with 8. Add 5. Multiply by 2.",
    "Let x be the number of apples in the box. Then",
    "The answer is",
)
"""Beginnings that the sampler continues once, with weights just pushed; the texts stay for as long as it is open."""

DECODING = Decoding(temperature=1.0, max_new_tokens=24)


class Text(NamedTuple):
    """Token ids that stand before, and the ids that are scored."""

    context: tuple[int, ...]
    tokens: tuple[int, ...]


def probe_requests(codec: Codec, max_length: int) -> tuple[list[Request], Decoding]:
    """What the sampler is to continue for the probe's texts: tokens it would draw itself, since unlikely ones exaggerate
    16-bit rounding."""
    room = max(1, max_length // 2)
    contexts = [(codec.encode(question, special=True) or (0,))[:room] for question in QUESTIONS]
    decoding = DECODING
    if (budget := max_length - room) < decoding.max_new_tokens:
        decoding = Decoding(temperature=decoding.temperature, max_new_tokens=max(1, budget))
    return [Request(context, (index,)) for index, context in enumerate(contexts)], decoding


class WeightProbe:
    """Compares with the trainer after every push; the first comparison sets what later ones are measured by."""

    def __init__(self, policy: PolicyAccess, texts: Sequence[Text], max_gap: float) -> None:
        self.texts = tuple(texts)
        self._policy = policy
        self._max_gap = max_gap
        self._first: float | None = None

    def check(self, sampler_logps: Sequence[Sequence[float]], version: int) -> float:
        """The mean |log P_trainer − log P_sampler| over all tokens of the texts, nats, at temperature 1. A collective call.

        `sampler_logps` has a list a text, one number a token. Raises RunFailed above min(max_gap, max(10 × the first
        gap, 1e-4)), and for a gap that is not a number.
        """
        trainer = [self._policy.logprobs(text.context, text.tokens) for text in self.texts]
        pairs = zip(trainer, sampler_logps, strict=True)
        gap = float(np.concatenate([np.abs(np.subtract(ours, theirs)) for ours, theirs in pairs]).mean())
        first = gap if self._first is None else self._first
        limit = min(self._max_gap, max(GROWTH * first, FLOOR))
        if not gap <= limit:
            raise RunFailed(
                f"after update {version} the sampler's log-probabilities are {gap:.3g} nats a token off the trainer's, and "
                f"{limit:.3g} are allowed (at the first push they were {first:.3g} off; max_gap is {self._max_gap:g})",
                hint="its weights are not the trainer's, and samples from them must not train: the last checkpoint stands. "
                'Try it with sampler = "transformers"; where only 16-bit rounding is to blame, raise max_gap',
            )
        self._first = first
        return gap
