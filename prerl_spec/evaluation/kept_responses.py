"""The responses that evaluations have written, of a run or of a folder of `prerl-spec eval`: found, and read back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prerl_spec.errors import Damaged
from prerl_spec.evaluation.scores.question_results import FOLDER as QUESTIONS
from prerl_spec.json_lines import UnreadableLine, read_json_lines
from prerl_spec.storage.chained_lines import first_line

SAMPLES = "samples"


@dataclass(frozen=True)
class KeptResponses:
    """The responses to one task at one moment, a line each; `conditions` is the header of their file of questions.

    Example: `KeptResponses(Path("eval-dsrl/samples/base-000000-aime24_boxed.jsonl"), "base", 0, "aime24_boxed")`.
    """

    file: Path
    phase: str
    global_step: int
    task: str
    conditions: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Raises Damaged for a line that is no JSON object."""
        for place, line in read_json_lines(self.file):
            if isinstance(line, UnreadableLine) or not isinstance(line, dict):
                why = line.reason if isinstance(line, UnreadableLine) else "not an object"
                raise Damaged(f"{self.file.parent / place}: {why}", file=self.file, hint="score the model again")
            yield line


def kept_responses(folder: Path) -> list[KeptResponses]:
    """The files of responses of a run or of a folder of `eval`, by step and task; none if it has none. Raises Damaged for a
    header of questions that was changed."""
    found = []
    for root in (folder / "evaluation", folder):
        for file in (root / SAMPLES).glob("*.jsonl"):
            header = root / QUESTIONS / file.name
            if header.is_file():
                has = first_line(header)
                found.append(KeptResponses(file, has["phase"], has["global_step"], has["task"], has))
    return sorted(found, key=lambda one: (one.global_step, one.task, one.file.name))
