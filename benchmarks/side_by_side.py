"""A GRPO step of prerl-spec beside TRL 1.16.0's and beside what any implementation has to compute, on one thread of a CPU.

    python benchmarks/side_by_side.py [--vocabulary 51 32768 151936] [--repeats 9 5 3] [--tree OTHER_CHECKOUT] [--json FILE]
    python benchmarks/side_by_side.py --write FILE [FILE ...]

Same weights, prompts, lengths, optimizer, dtype and thread. Every side is a process of its own; they are started, take one
step that does not count, and are then asked in turn. Before that, one update on the same responses: unless loss and gradient
agree, nothing is measured (sides/parity.py); the loss is compared at natural length, since it is 0 at fixed length. Ours is
the whole product, `run` with a listener that pauses after each step: journal, verdicts, metrics and events are in `whole`.
TRL is its GRPOTrainer with the settings of sides/trl_side.py, in an environment that is made at the first call. `before` is
ours of another checkout. The floor is forward and backward of the same responses by the bare model, plus the matrix products
of decoding (sides/floor.py).

Told are medians with their range, in CPU seconds (a clock tells what else the machine did); a ratio is the median over turns
of the ratio within a turn, at natural length per generated token. `--write` puts tables of such files into
docs/performance.md.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "components"), str(ROOT / "benchmarks" / "sides")]

from environment import PINNED, trl_python  # noqa: E402
from parity import gradient_difference, require_parity  # noqa: E402
from parts import install  # noqa: E402
from process import Side  # noqa: E402
from tables import show, write_page  # noqa: E402
from workload import NATURAL_END, SHAPE, Workload  # noqa: E402

SIDES = ("ours", "ours nsr", "before", "before nsr", "trl", "floor")
LARGE = 1 << 14
"""From this vocabulary on TRL takes its update in passes of 8 completions, by which it is faster (at 32,768: 13.3 s a step,
18.4 in one pass of 64) and needs a quarter of the memory."""


@contextmanager
def opened(
    given: argparse.Namespace, work: dict[str, Any], folder: Path
) -> Iterator[tuple[list[Side], dict[str, Any]]]:
    """The sides after their first step, and how far the trainers' computations differ."""
    install(folder / "plugin")
    parity = folder / "parity"
    parity.mkdir()
    with ExitStack() as stack:

        def start(name: str, script: str, config: dict[str, Any], *more: str) -> Side:
            side = Side(name, script, {"workload": work, "parity": None, **config}, folder, *more)
            stack.callback(side.close)
            return side

        def product(name: str, tree: Path, config: dict[str, Any]) -> Side:
            path = os.pathsep.join(
                map(str, (tree, tree / "components", folder / "plugin", ROOT / "benchmarks" / "sides"))
            )
            return start(name, "ours.py", {"objective": "grpo", **config}, sys.executable, path)

        wanted = [s for s in SIDES if s in given.only and (given.tree or not s.startswith("before"))]
        compared = product("parity", ROOT, {"parity": str(parity)})
        ours = compared.step()
        compared.close()
        sides, facts = [], {}
        for name in wanted:
            if name == "trl":
                each = given.completions_per_pass or (8 if work["vocabulary"] >= LARGE else 64)
                config = {"parity": str(parity), "completions_per_pass": each}
                sides.append(start(name, "trl_side.py", config, trl_python(given.environment)))
                theirs = sides[-1].step()
                gradient, losses = gradient_difference(parity), (ours["loss"], theirs["loss"])
                require_parity(gradient, *losses, even=not work["end"])
                facts = {"parity": {"gradient": gradient, "losses": losses}, "completions_per_pass": each}
            elif name == "floor":
                sides.append(start(name, "floor.py", {"parity": str(parity)}))
                sides[-1].step()
            else:
                tree = ROOT if name.startswith("ours") else given.tree
                sides.append(product(name, tree, {"objective": "marginal_nsr" if name.endswith("nsr") else "grpo"}))
                sides[-1].step()
        yield sides, facts


def compare(given: argparse.Namespace, workload: Workload) -> dict[str, Any]:
    """Our trainer and TRL's on one update of this workload, without measuring."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        only = argparse.Namespace(**{**vars(given), "only": ["trl"]})
        with opened(only, workload.write(folder / "work"), folder) as (_, facts):
            parity: dict[str, Any] = facts["parity"]
            return parity


def measure(given: argparse.Namespace, workload: Workload, repeats: int) -> dict[str, Any]:
    """Every side's steps, turn by turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = workload.write(folder / "work")
        with opened(given, work, folder) as (sides, facts):
            turns = []
            for _ in range(repeats):
                turns.append({side.name: side.step() for side in sides})
                print(f"{workload.name}: " + "  ".join(f"{n} {s['cpu']:.2f}" for n, s in turns[-1].items()), flush=True)
    del work["questions"], work["model"], work["rows"]
    return {"workload": work, **facts, "turns": turns}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[51, 32768, 151936])
    parser.add_argument(
        "--repeats", type=int, nargs="+", default=[9, 5, 3], help="of each vocabulary, the last for the rest"
    )
    parser.add_argument("--length", choices=["fixed", "natural", "both"], default="both")
    parser.add_argument("--only", nargs="+", default=SIDES, help=f"of {', '.join(SIDES)}", metavar="SIDE")
    parser.add_argument("--tree", type=Path, help="another checkout, whose figures are `before`")
    parser.add_argument("--prompt", type=int, default=16, help="tokens of a prompt")
    parser.add_argument(
        "--completions-per-pass", type=int, help="of TRL's update; default: all, 8 at large vocabularies"
    )
    parser.add_argument("--environment", type=Path, default=ROOT / ".cache" / "trl", help="folder of TRL's environment")
    parser.add_argument("--json", type=Path, help="file for everything that was measured")
    parser.add_argument(
        "--write", type=Path, nargs="+", metavar="FILE", help="files of --json whose tables go into the page"
    )
    given = parser.parse_args()
    if given.write:
        write_page(ROOT / "docs" / "performance.md", [json.loads(file.read_text()) for file in given.write])
        return
    if unknown := sorted(set(given.only) - set(SIDES)):
        parser.error(f"--only {unknown[0]}: of {', '.join(SIDES)}")
    found: dict[str, Any] = {
        "machine": {"platform": platform.platform(), "processor": _processor(), "python": platform.python_version()},
        "model": SHAPE,
        "trl": PINNED,
        "measured": [],
    }
    for index, vocabulary in enumerate(given.vocabulary):
        repeats = given.repeats[min(index, len(given.repeats) - 1)]
        if "trl" in given.only and given.length == "fixed":
            # At equal lengths the loss is 0 on both sides: it is compared where it is not.
            print(f"parity at natural length: {compare(given, Workload(vocabulary, NATURAL_END, prompt=given.prompt))}")
        for end in {"fixed": (0.0,), "natural": (NATURAL_END,), "both": (NATURAL_END, 0.0)}[given.length]:
            workload = Workload(vocabulary, end, prompt=given.prompt)
            found["measured"].append(measure(given, workload, repeats))
            if given.json:
                given.json.write_text(json.dumps(found, indent=1))
    print(show(found))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


if __name__ == "__main__":
    main()
