"""What each question has contributed to a score: a file of checked lines beside every score, one line a question.

The mean over its lines of `QuestionResult.value(metric)` is the score, for every metric that the header calls a mean.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain, count
from pathlib import Path
from typing import Any

from prerl_spec.errors import Damaged, UsageError
from prerl_spec.evaluation.scores.at_k import at_k_value
from prerl_spec.storage.checks import sha256_start
from prerl_spec.storage.counted_lines import COUNT, read_counted, read_header, write_counted

FORMAT = 1
FOLDER = "questions"
"""Below `evaluation` of a run folder, and below the folder of `prerl-spec eval`."""

MEAN = "mean"
"""In a header's `metrics`: the score is the mean of the questions' values."""

_UNSAFE = re.compile(r"[^\w.-]")
_LONGEST_NAME = 120
_OF_A_SCORE = (
    "phase",
    "global_step",
    "task",
    "seed",
    "decoding",
    "harness",
    "task_version",
    "task_hash",
    "template_hash",
)

Key = tuple[str, int, str]
"""(phase, global_step, task)."""


@dataclass(frozen=True)
class QuestionResult:
    """One question of one evaluation: `QuestionResult("8f1c…", row=3, right=5, samples=16, truncated=1, tokens=2310)`.

    `right` is None where no verifier has judged; `samples`, `truncated` and `tokens` (generated, all samples together) where
    nothing was sampled. `votes` are the different answers, each with the number of its responses and whether it is right; None
    where they were not told apart. `values` are those of a task's own metrics, by the score's name: `{"acc,none": 1.0}`.
    """

    question: str
    row: int
    right: int | None = None
    samples: int | None = None
    truncated: int | None = None
    unparsable: int | None = None
    tokens: int | None = None
    votes: tuple[tuple[int, bool], ...] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def value(self, metric: str) -> float | None:
        """What the question adds to the mean of a metric; None where it has no part in it.

        avg@k, pass@k, G-Pass@k and maj@k are counted from the verdicts and the votes, for every k up to the number of samples.
        Raises UsageError for a larger k.
        """
        if metric in self.values:
            return float(self.values[metric])
        if self.right is None or self.samples is None:
            return None
        try:
            return at_k_value(metric, self.right, self.samples, self.votes)
        except ValueError as error:
            raise UsageError(f"{metric}: {error}", hint=f"choose k up to {self.samples}") from error


def values_by_question(header: Mapping[str, Any], results: Sequence[QuestionResult], metric: str) -> dict[str, float]:
    """Question id -> its value; their mean is the score. Raises UsageError for a metric that the task does not have, one that
    is no mean over questions (a perplexity), and a k above the number of samples."""
    aggregate = header["metrics"].get(metric, MEAN)
    if aggregate != MEAN:
        raise UsageError(
            f"`{metric}` of {header['task']} is a {aggregate}, not a mean over questions", hint="choose another metric"
        )
    found = {result.question: result.value(metric) for result in results}
    values = {question: value for question, value in found.items() if value is not None}
    if not values:
        raise UsageError(
            f"{header['task']} was not scored by `{metric}`", hint=f"choose one of {', '.join(header['metrics'])}"
        )
    return values


def question_ids(asked: Iterable[tuple[str, str]]) -> list[str]:
    """An id for each (question as asked, gold answer), the same in every run; a repeated question gets "-2", "-3", …"""
    seen = Counter[str]()
    found = []
    for question, gold in asked:
        name = sha256(json.dumps([question, gold]).encode("ascii")).hexdigest()[:16]
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return found


def as_line(result: QuestionResult) -> dict[str, Any]:
    """The result as a JSON object, without what is not known of it."""
    fields = {name: value for name, value in vars(result).items() if value is not None and name != "values"}
    return {**fields, "values": dict(result.values)} if result.values else fields


def from_line(line: Mapping[str, Any]) -> QuestionResult:
    """The result of a line; keys of later versions are ignored."""
    found = {name: line[name] for name in QuestionResult.__dataclass_fields__ if name in line}
    if "votes" in found:
        found["votes"] = tuple((count, is_right) for count, is_right in found["votes"])
    return QuestionResult(**found)


def write_questions(folder: Path, header: Mapping[str, Any], results: Sequence[QuestionResult]) -> Path:
    """Writes the results to `folder/questions`, durably and atomically, and returns the file.

    Its name is PHASE-STEP-TASK.jsonl, with ~2, ~3, … where results of other conditions have it already. The header has
    phase, global_step, task, `metrics` (name -> "mean", or what lm-eval aggregates with), and what the scores say of their
    conditions. Raises OSError.
    """
    written = json.loads(json.dumps({"format": FORMAT, **header, COUNT: len(results)}))
    file = next(file for file in _names(folder / FOLDER, written) if _is_free(file, written))
    write_counted(file, written, map(as_line, results))
    return file


def read_questions(file: Path) -> tuple[dict[str, Any], list[QuestionResult]]:
    """The header and the results, in the order of the task's rows. Raises OSError; Damaged for any changed byte, naming
    file and line, and for a format of another version."""
    header, lines = read_counted(file)
    _require_format(file, header)
    return header, [from_line(line) for line in lines]


def question_files(folder: Path) -> dict[Key, Path]:
    """The files of a run, or of a folder of `prerl-spec eval`; where several evaluators score one task at one step, that of
    the first (`results_of` finds that of a score). Raises Damaged for a header that was changed."""
    found: dict[Key, Path] = {}
    for file, header in question_headers(folder):
        found.setdefault((header["phase"], header["global_step"], header["task"]), file)
    return found


def results_of(folder: Path, score: Mapping[str, Any]) -> tuple[dict[str, Any], list[QuestionResult]] | None:
    """Header and results behind one score of scores.json; None if the run has kept none. Raises OSError, Damaged."""
    return results_among(question_headers(folder), score)


def results_among(
    headers: Iterable[tuple[Path, Mapping[str, Any]]], score: Mapping[str, Any]
) -> tuple[dict[str, Any], list[QuestionResult]] | None:
    """As `results_of`, of a folder whose headers have been read: for many scores of one folder."""
    files = [
        (header[COUNT], file)
        for file, header in headers
        if all(header[name] == score[name] for name in _OF_A_SCORE)
        and header["samples"] == score["samples_per_question"]
        and score["metric"] in header["metrics"]
        and header[COUNT] >= score["questions"]
    ]
    return read_questions(min(files)[1]) if files else None


def question_headers(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every file of questions in a run, or in a folder of `prerl-spec eval`, with its first line. Raises OSError, Damaged."""
    for root in (folder / "evaluation" / FOLDER, folder / FOLDER):
        for file in sorted(root.glob("*.jsonl")):
            header = read_header(file)
            _require_format(file, header)
            yield file, header


def _require_format(file: Path, header: Mapping[str, Any]) -> None:
    if header.get("format") != FORMAT:
        raise Damaged(
            f"{file} has the format {header.get('format')}, and this version reads {FORMAT}",
            file=file,
            hint="read it with the version that wrote it",
        )


def _names(folder: Path, header: Mapping[str, Any]) -> Iterable[Path]:
    """The names that results of this phase, step and task may have, the plain one first."""
    task = _UNSAFE.sub("_", header["task"])[:_LONGEST_NAME]
    if task != header["task"]:
        task += f".{sha256_start(header['task'].encode())[:8]}"
    name = f"{header['phase']}-{header['global_step']:06d}-{task}"
    return (folder / f"{name}{ending}.jsonl" for ending in chain([""], (f"~{n}" for n in count(2))))


def _is_free(file: Path, header: Mapping[str, Any]) -> bool:
    """Whether there is no file, or one of the same conditions. What is damaged is left for `fsck` to name."""
    try:
        return read_header(file) == header
    except FileNotFoundError:
        return True
    except Damaged:
        return False
