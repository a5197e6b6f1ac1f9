"""A few responses of each evaluation, with their verdicts, for reading, as JSON Lines."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prerl_spec.storage.disk import write_whole
from prerl_spec.types import Generation, Verdict

NUM_QUESTIONS = 8
NUM_RESPONSES = 4


def sample_line(
    question: str, gold: str, text: str, generation: Generation, verdict: Verdict | None, place: int
) -> dict[str, Any]:
    """One response: input, text, stop reason, and the verdict (None if the task has no verifier)."""
    return {
        "question": place,
        "input": question,
        "gold": gold,
        "response": text,
        "tokens": len(generation.tokens),
        "stop": generation.stop,
        "verdict": None if verdict is None else str(verdict.outcome),
        "answer": None if verdict is None else verdict.answer,
        "detail": "" if verdict is None else verdict.detail,
    }


def task_samples(logged: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The first responses to the first questions in lm-eval's log; empty for a task without responses."""
    lines = []
    for sample in logged[:NUM_QUESTIONS]:
        responses, filtered = sample["resps"][0], sample["filtered_resps"][0]
        for number, response in enumerate(responses[:NUM_RESPONSES]):
            generation = getattr(response, "generation", None)
            if generation is None:
                return []
            found = filtered[number] if isinstance(filtered, list) and number < len(filtered) else None
            verdict = found if isinstance(found, Verdict) else None
            line = sample_line(
                str(sample["arguments"][0][0]),
                str(sample["target"]),
                str(response),
                generation,
                verdict,
                sample["doc_id"],
            )
            lines.append(line)
    return lines


def write_samples(file: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Writes the lines atomically; writes no file if there are none."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    if text:
        write_whole(file, text)
