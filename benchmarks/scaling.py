"""How a GRPO step of prerl-spec grows: with samples, with the length of prompts, and with the skew of response lengths.

    python benchmarks/scaling.py [--repeats 5] [--json FILE]         # measures, about four minutes on an idle core
    python benchmarks/scaling.py --draw FILE                         # docs/figures/scaling.svg

One step after another of the product (sides/ours.py) on the model of side_by_side.py with a vocabulary of 51, one thread; CPU
microseconds a sampled token, of sampling and of training, medians. The settings of a curve are measured in turn.
"""

import argparse
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "components"), str(ROOT / "benchmarks" / "sides")]

from curves import draw  # noqa: E402
from parts import install  # noqa: E402
from process import Side  # noqa: E402
from workload import Workload  # noqa: E402

VOCABULARY = 51
CURVES: dict[str, dict[str, Workload]] = {
    "samples of a step": {str(8 * n): Workload(VOCABULARY, prompts=n) for n in (2, 4, 8, 16, 32, 64, 128)},
    "tokens of a prompt": {str(n): Workload(VOCABULARY, prompt=n) for n in (16, 32, 64, 128, 256, 512)},
    "longest response / mean": {
        # Ends at each token with this probability: the longest of 64 reaches the limit, the mean does not.
        "1": Workload(VOCABULARY),
        **{f"{end}": Workload(VOCABULARY, end=end, response=192) for end in (1 / 512, 1 / 128, 1 / 64, 1 / 32)},
    },
}


def measure(curve: dict[str, Workload], repeats: int) -> list[dict[str, Any]]:
    """Every setting's steps, turn by turn; the first step does not count."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        install(folder / "plugin")
        parts = (ROOT, ROOT / "components", folder / "plugin", ROOT / "benchmarks" / "sides")
        path = os.pathsep.join(map(str, parts))
        sides = {}
        for setting, workload in curve.items():
            place = folder / setting.replace("/", "-")
            config = {"workload": workload.write(place), "objective": "grpo"}
            sides[setting] = Side("ours", "ours.py", config, place, path=path)
            stack.callback(sides[setting].close)
        for side in sides.values():
            side.step()
        turns = [{setting: side.step() for setting, side in sides.items()} for _ in range(repeats)]
    found = []
    for setting, workload in curve.items():
        steps = [turn[setting] for turn in turns]
        tokens = [s["tokens"]["generated"] for s in steps]
        mean = sum(tokens) / len(tokens) / (workload.prompts * workload.group)
        row: dict[str, Any] = {"setting": setting, "samples": workload.prompts * workload.group, "mean_response": mean}
        for stage in ("sample", "train"):
            each = [1e6 * s["stages"][stage] / t for s, t in zip(steps, tokens, strict=True)]
            row[stage] = {"median": median(each), "low": min(each), "high": max(each)}
        row["longest"] = workload.response
        found.append(row)
        print(json.dumps(row), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--draw", type=Path, metavar="FILE", help="a file of --json")
    given = parser.parse_args()
    if given.draw:
        figure = ROOT / "docs" / "figures" / "scaling.svg"
        figure.parent.mkdir(exist_ok=True)
        figure.write_text(draw(json.loads(given.draw.read_text())), encoding="utf-8")
        return
    found = {name: measure(curve, given.repeats) for name, curve in CURVES.items()}
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
