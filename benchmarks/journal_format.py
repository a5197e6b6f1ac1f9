"""Bytes and seconds per token of a step's journal: frames of arrays, beside JSON lines with one number per token.

    python benchmarks/journal_format.py [--prompts 128] [--group 8] [--tokens 500] [--repeats 5]

Both write the same groups, sync once, and read them back; interleaved, medians.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median

import numpy as np

from prerl_spec.storage.frames import append_frames
from prerl_spec.storage.journal_frames import group_frame, read_step_entries
from prerl_spec.types import Attempt, Group, Prompt, Segment


def groups_of(prompts: int, group: int, tokens: int) -> list[Group]:
    """Random groups with float32 log-probabilities, as a sampler returns them."""
    random = np.random.default_rng(0)

    def attempt() -> Attempt:
        ids = tuple(random.integers(0, 150_000, tokens).tolist())
        logps, entropies = (tuple(random.normal(size=tokens).astype("f4").tolist()) for _ in range(2))
        return Attempt((Segment(ids, logps=logps, entropies=entropies),), "x" * 3 * tokens, "eos")

    return [
        Group(slot, Prompt("train", slot, "?", "1", tuple(range(100))), tuple(attempt() for _ in range(group)))
        for slot in range(prompts)
    ]


def write_lines(file: Path, groups: list[Group]) -> None:
    with file.open("w", encoding="utf-8") as handle:
        handle.writelines(json.dumps(asdict(group)) + "\n" for group in groups)
        handle.flush()
        os.fsync(handle.fileno())


def write_frames(file: Path, groups: list[Group]) -> None:
    append_frames(file, [group_frame(group) for group in groups], first=0)


def read_lines(file: Path) -> object:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("prompts", 128), ("group", 8), ("tokens", 500), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    groups = groups_of(arguments.prompts, arguments.group, arguments.tokens)
    total = arguments.prompts * arguments.group * arguments.tokens
    forms = {"json lines": (write_lines, read_lines), "frames": (write_frames, read_step_entries)}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.repeats):
            for name, (write, read) in forms.items():
                file = Path(folder) / "journal"
                file.unlink(missing_ok=True)
                writing = timed(lambda write=write, file=file: write(file, groups))
                seconds[name].append((writing, timed(lambda read=read, file=file: read(file))))
                sizes[name] = file.stat().st_size
    print(f"{total:,} tokens of {arguments.prompts} × {arguments.group} responses")
    for name in forms:
        writing, reading = (median(column) / total * 1e6 for column in zip(*seconds[name], strict=True))
        print(
            f"{name:<11} {sizes[name] / total:6.1f} bytes/token  write {writing:.3f} µs/token  read {reading:.3f} µs/token"
        )


if __name__ == "__main__":
    main()
