"""Counts reflection, transition and execution thoughts in responses by SEAL's rules (arXiv:2504.07986)."""

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from prerl_spec.sdk import Component, Step

Thought = Literal["reflection", "transition", "execution"]

_REFLECTION = (
    "verify",
    "make sure",
    "hold on",
    "think again",
    "'s correct",
    "'s incorrect",
    "let me check",
    "seems right",
)
_TRANSITION = (
    "think differently",
    *(f"another {w}" for w in ["way", "approach", "method", "solution", "strategy", "technique"]),
)
_BLANK_LINE = re.compile(r"\n\s*\n")
_LINE_OR_SENTENCE_END = re.compile(r"\n|(?<=[.!?])\s+")


def split_thoughts(response: str) -> list[str]:
    """The thoughts of a response: its paragraphs.

    SEAL splits at blank lines. A response without blank lines would be a single thought of any length, so it is split
    at line breaks and after sentences instead.
    """
    pieces = (_BLANK_LINE if _BLANK_LINE.search(response.strip()) else _LINE_OR_SENTENCE_END).split(response)
    return [piece.strip() for piece in pieces if piece.strip()]


def kind_of(thought: str) -> Thought:
    """The kind of a thought: reflection is tested first, then transition; everything else is execution."""
    text = thought.lower()
    if text.startswith("wait") or any(mark in text for mark in _REFLECTION):
        return "reflection"
    if text.startswith("alternatively") or any(mark in text for mark in _TRANSITION):
        return "transition"
    return "execution"


class Thoughts(Component):
    """Mean number of reflection, transition and execution thoughts per response.

    The rules of arXiv:2604.14142 were not published; they are probably SEAL's.
    """

    kind = "probe"
    metric_names = ("thoughts_*",)

    rules: Literal["seal"] = Field("seal", description="how thoughts are classified; seal: key phrases, per paragraph")
    every: int = Field(1, ge=1, description="steps between measurements")

    def measure(self, step: Step) -> Mapping[str, float]:
        """`thoughts_reflection`, `thoughts_transition`, `thoughts_execution`; none for an empty step."""
        if not step.samples:
            return {}
        found = [kind_of(thought) for attempt in step.samples for thought in split_thoughts(attempt.text)]
        kinds: tuple[Thought, ...] = ("reflection", "transition", "execution")
        return {f"thoughts_{kind}": found.count(kind) / len(step.samples) for kind in kinds}
