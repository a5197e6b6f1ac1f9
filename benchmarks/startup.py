"""Wall-clock time of interactive commands, compared with a bare interpreter.

    python benchmarks/startup.py [--repeats 20] [--spec specs/smoke.toml] [--check]

Prints medians; the commands are run in turn, so that load on the machine affects all of them. The budgets are those of a
machine whose bare interpreter starts in 0.02 s: "scaled" is the median divided by how much slower than that the bare
interpreter was in the same run. `--check` exits with 1 if a command is over its budget.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
BARE_SECONDS = 0.02
BARE = "bare interpreter"


def commands(spec: Path) -> dict[str, tuple[list[str], float | None]]:
    """Name -> (arguments of the interpreter, budget in seconds)."""
    prerl = ["-m", "prerl_spec"]
    return {
        BARE: (["-c", "pass"], None),
        "--help": ([*prerl, "--help"], 0.10),
        "--version": ([*prerl, "--version"], 0.10),
        "explain E0301": ([*prerl, "explain", "E0301"], 0.10),
        "components list": ([*prerl, "components", "list"], 0.25),
        f"validate {spec.name}": ([*prerl, "validate", str(spec)], 0.80),
        "schema": ([*prerl, "schema"], None),
    }


def seconds(arguments: list[str]) -> float:
    """One run of the interpreter. Raises CalledProcessError if the command fails."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--spec", type=Path, default=ROOT / "specs" / "smoke.toml")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    timed = commands(arguments.spec)
    for line, _ in timed.values():
        seconds(line)  # compiles the bytecode, which an installed package already has
    durations: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(arguments.repeats):
        for name, (line, _) in timed.items():
            durations[name].append(seconds(line))
    bare = median(durations[BARE])
    slowness = max(1.0, bare / BARE_SECONDS)
    over = False
    print(f"{'':<22} {'median':>8} {'minimum':>8} {'scaled':>14} {'budget':>8}")
    for name, (_, budget) in timed.items():
        middle = median(durations[name])
        scaled = middle / slowness
        over |= budget is not None and scaled > budget
        shown = "" if budget is None else f"{budget:.2f} s"
        print(f"{name:<22} {middle:>6.3f} s {min(durations[name]):>6.3f} s {scaled:>12.3f} s {shown:>8}")
    return int(over and arguments.check)


if __name__ == "__main__":
    sys.exit(main())
