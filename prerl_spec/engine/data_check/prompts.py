"""The prompts of a data set: rows that ask nothing, questions asked more than once, prompts longer than the model allows."""

from collections.abc import Callable, Sequence
from typing import Any

from prerl_spec.compiler.estimates.local_files import model_config
from prerl_spec.compiler.estimates.unknown import NotKnown
from prerl_spec.engine.data_check.report import Finding, Kind
from prerl_spec.prompts import render_all
from prerl_spec.questions.wording import is_blank
from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.text import Codec
from prerl_spec.types import Row

LENGTH_NAMES = ("max_position_embeddings", "n_positions")
"""How configurations name the maximum length of context and response together."""


def empty_questions(rows: Sequence[Row]) -> list[Finding]:
    """Questions of invisible characters alone; those of white space alone are unreadable rows."""
    return [
        Finding(Kind.EMPTY, (row.where,), "the question has invisible characters only")
        for row in rows
        if row.question is not None and is_blank(row.question)
    ]


def repeats(rows: Sequence[Row], groups: Sequence[Sequence[int]]) -> list[Finding]:
    """A finding for each group of rows that ask one question."""
    found: list[Finding] = []
    for group in groups:
        of_group = [rows[place] for place in group]
        copies = len({(row.question, row.gold, row.document) for row in of_group}) == 1
        how = "the same text" if copies else "the same but for spacing, case, layout or the gold"
        found.append(Finding(Kind.REPEAT, tuple(row.where for row in of_group), how))
    return found


def longest_prompt(settings: dict[str, Any], codec: Codec, response: int, data: DataSet) -> int:
    """The most tokens of a prompt: the model's context without the longest response, and the data set's own limit.

    Raises NotKnown where neither is known.
    """
    limits = [] if data.max_prompt_tokens is None else [data.max_prompt_tokens]
    try:
        config = model_config(settings, codec.vocab_size)
    except NotKnown:
        if not limits:
            raise
        return limits[0]
    text = config.get("text_config", config)
    limits += [length - response for name in LENGTH_NAMES if isinstance(length := text.get(name), int)]
    if not limits:
        raise NotKnown("the model's configuration names no maximum length")
    return min(limits)


def too_long(
    name: str, data: DataSet, rows: Sequence[Row], codec: Codec, limit: int, tick: Callable[[int, int], None]
) -> list[Finding]:
    """Rows whose rendered prompt has more than `limit` tokens."""
    found: list[Finding] = []
    prompts = render_all(enumerate(rows), name, data.rendering, codec)
    for number, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
        length = len(prompt.context)
        if prompt.question is not None and length > limit:
            words = f"{length} tokens, more than {limit}"
            found.append(Finding(Kind.TOO_LONG, (row.where,), words, stops_run=data.over_long == "error"))
        tick(number + 1, len(rows))
    return found
