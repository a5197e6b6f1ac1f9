"""Cost of `determinism = "invariant"`: seconds per step of the default experiment, by stage, compared with "fast".

    OMP_NUM_THREADS=1 python benchmarks/invariant.py [--repeats 3] [--pretrain 150] [--steps 6] [--spec specs/quickstart.toml]

Each repetition runs both modes, one after the other, from the same seed; a ratio is the median over repetitions of
(invariant / fast) within a repetition, so that load on the machine affects both. Pre-training comes first because all
responses of an untrained model have the full length.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from prerl_spec.compiler.compile import compile_spec

ROOT = Path(__file__).parents[1]
MODES = ("fast", "invariant")
STAGES = ("sample", "train", "total")

Seconds = dict[str, float]
"""Seconds by "phase stage", and of evaluations by "evaluation N"."""


def seconds_of(spec: Path, mode: str, steps: list[int], folder: Path) -> Seconds:
    """Median seconds of each stage in each phase, without the first step, and of each evaluation."""
    written: dict[str, object] = {f"phases[{n}].schedule.steps": count for n, count in enumerate(steps)}
    written |= {"distributed.determinism": f'"{mode}"', "run.output_dir": f'"{folder}"', "trackers": "[]"}
    overrides = [part for path, value in written.items() for part in ("--set", f"{path}={value}")]
    command = [sys.executable, "-m", "prerl_spec", "run", str(spec), *overrides]
    subprocess.run(command, check=True, capture_output=True)
    (events,) = folder.glob("*/events.jsonl")
    return dict(medians([json.loads(line) for line in events.read_text().splitlines()]))


def medians(events: list[dict[str, object]]) -> Iterator[tuple[str, float]]:
    """(name, median seconds) pairs from the events of a run."""
    durations: dict[str, list[float]] = {}
    for event in events:
        if event["event"] == "step" and event["step"] != 1:
            seconds = event["seconds"]
            assert isinstance(seconds, dict)
            for stage in STAGES:
                if seconds[stage]:
                    durations.setdefault(f"{event['phase']} {stage}", []).append(seconds[stage])
        if event["event"] == "evaluate":
            spent = event["seconds"]
            assert isinstance(spent, float)
            durations.setdefault(f"evaluation {event['evaluator']}", []).append(spent)
    yield from ((name, median(values)) for name, values in durations.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pretrain", type=int, default=150, help="steps of the first phase")
    parser.add_argument("--steps", type=int, default=6, help="steps of each later phase")
    parser.add_argument("--spec", type=Path, default=ROOT / "specs" / "quickstart.toml")
    arguments = parser.parse_args()
    later = len(compile_spec(arguments.spec).graph.phases) - 1
    steps = [arguments.pretrain, *[arguments.steps] * later]
    runs: list[dict[str, Seconds]] = []
    for number in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as folder:
            runs.append({m: seconds_of(arguments.spec, m, steps, Path(folder) / m) for m in MODES})
        print(f"repetition {number + 1} of {arguments.repeats}", file=sys.stderr, flush=True)
    print(f"{'':28}{'fast s':>10}{'invariant s':>13}{'ratio':>8}")
    for name in runs[0]["fast"]:
        fast, invariant = (median(run[mode][name] for run in runs) for mode in MODES)
        ratio = median(run["invariant"][name] / run["fast"][name] for run in runs)
        print(f"{name:28}{fast:10.3f}{invariant:13.3f}{ratio:8.2f}")


if __name__ == "__main__":
    main()
