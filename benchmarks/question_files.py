"""CPU seconds and bytes of the files of per-question results, beside the evaluation that they belong to.

    python benchmarks/question_files.py [--questions 128] [--samples 8] [--tokens 32] [--repeats 5]

Scores a random two-layer model of width 32, the cheapest there is, on `arithmetic_chains_easy` in this process, so that the
share of the files is an upper bound. Counted: the ids, the file, and what the cache of scores holds of the questions. Medians.
"""

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from prerl_spec.cli.main import main
from prerl_spec.evaluation.harness import harness
from prerl_spec.evaluation.scores import cache, scored
from prerl_spec.evaluation.scores.question_results import question_files, read_questions
from prerl_spec.testing.tiny import save_tiny


class Spent:
    """CPU and wall seconds inside of functions."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    def inside(self, work: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(work)
        def timed(*arguments: Any, **named: Any) -> Any:
            cpu, wall = time.process_time(), time.perf_counter()
            try:
                return work(*arguments, **named)
            finally:
                self.cpu += time.process_time() - cpu
                self.wall += time.perf_counter() - wall

        return timed


def evaluated(folder: Path, questions: int, samples: int, tokens: int) -> tuple[Spent, Spent]:
    """Seconds of one evaluation, and those of its per-question results in it."""
    command = ["eval", str(folder / "model"), "--tasks", "arithmetic_chains_easy", "--out", str(folder / "out")]
    command += ["--limit", str(questions), "--samples", str(samples), "--max-new-tokens", str(tokens)]
    whole, files = Spent(), Spent()
    with (
        patch.object(harness, "verdict_results", files.inside(harness.verdict_results)),
        patch.object(scored, "write_questions", files.inside(scored.write_questions)),
        patch.object(cache, "as_line", files.inside(cache.as_line)),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        code = whole.inside(main)(command)
    assert code == 0, f"eval ended with {code}"
    return whole, files


def report(questions: int, samples: int, tokens: int, repeats: int) -> None:
    runs: list[tuple[Spent, Spent]] = []
    reading = Spent()
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            save_tiny(folder / "model")
            runs.append(evaluated(folder, questions, samples, tokens))
            (file,) = question_files(folder / "out").values()
            reading.inside(read_questions)(file)
            size = file.stat().st_size
            (cached,) = (folder / "out" / "cache").iterdir()
            without = {k: v for k, v in json.loads(cached.read_bytes()).items() if k not in ("header", "questions")}
            in_cache = cached.stat().st_size - len(json.dumps(without, indent=1))
            in_samples = sum(f.stat().st_size for f in (folder / "out" / "samples").iterdir())
    whole, files = (median(run[side].cpu for run in runs) for side in (0, 1))
    wall = median(files.wall for _, files in runs)
    print(
        f"{questions} x {samples} x {tokens} tokens: evaluation {whole:.2f} s CPU, of it the questions' results "
        f"{1000 * files:.1f} ms ({100 * files / whole:.2f} %; {1000 * wall:.1f} ms of wall, with syncs); read in "
        f"{1000 * reading.cpu / repeats:.1f} ms; {size:,} bytes ({size / questions:.0f} a question), {in_cache:,} in the "
        f"cache, beside {in_samples:,} of the samples for reading"
    )


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("questions", 128), ("samples", 8), ("tokens", 32), ("repeats", 5)):
        parser.add_argument(f"--{option}", type=int, default=default)
    given = parser.parse_args()
    report(given.questions, given.samples, given.tokens, given.repeats)
