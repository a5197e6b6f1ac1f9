"""Writes the figures of README.md from what the commands that it shows print.

`python docs/write_readme.py` runs them, some ten minutes on two cores; `python docs/write_readme.py try plan` runs these two
blocks only. A block stands between `<!-- NAME -->` and `<!-- end -->`. Machines differ in the last digits: what is written is
what this one has computed.
"""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
SHOWN_TOKENS = 4
"""Tokens of a response that the block of `try` shows."""
WIDEST = 180
CONTINUED = " " * 15


def prerl_spec(*words: str, cwd: Path, progress: bool = False) -> list[str]:
    """The lines that a command prints, with its progress or without. Raises CalledProcessError where it fails."""
    command = [sys.executable, "-m", "prerl_spec", *words]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "components")]),
    }
    stderr = subprocess.STDOUT if progress else None
    found = subprocess.run(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True, check=True
    )
    return [line.rstrip()[:WIDEST] for line in found.stdout.splitlines()]


def quickstart(folder: Path) -> list[str]:
    """What `run` says, without most of its steps."""
    said = prerl_spec("run", str(ROOT / "specs" / "quickstart.toml"), "--new", cwd=folder, progress=True)
    table = next(number for number, line in enumerate(said) if line.startswith("task "))
    end = next((n for n, line in enumerate(said[table:], table) if line.startswith("report:")), len(said))
    return [*(line for line in said[:table] if _is_shown(line)), "...", *said[table : end - 1]]


def _is_shown(line: str) -> bool:
    """First and last steps of the phases, and one score."""
    step = re.search(r" (\w+) (\d+)/(\d+)  ", line)
    if step is None:
        return "  pretrain  arithmetic_chains_easy  avg" in line
    return step[2] == step[3] or (step[2] == "1" and step[1] != "pretrain")


def tried(folder: Path) -> list[str]:
    """Laws, some tokens of a right response, and what both objectives make of the batch."""
    said = prerl_spec("try", str(ROOT / "examples" / "likelihood.py"), cwd=folder)
    head = next(number for number, line in enumerate(said) if line.startswith("token "))
    laws = [line for line in said[:head] if line.startswith(("objective ", "  held", "  broken"))]
    sums = [line for line in said if " tokens of the batch have non-zero weight" in line or ": sum of push " in line]
    return [*laws, "", *said[head - 1 : head + 3 + SHOWN_TOKENS], "  ...", *sums]


def compared(folder: Path) -> list[str]:
    """Findings and table of the primary score, of the run of the study that was stated beforehand; its conditions are too wide
    for the page."""
    name = "core-question-first"
    with tarfile.open(ROOT / "docs" / "evidence" / f"{name}.tar.xz") as kept:
        kept.extractall(folder, filter="data")
    said = prerl_spec("compare", name, "--task", "arithmetic_chains_easy/avg@16", "--curve", "curve/avg@2", cwd=folder)
    head = next(number for number, line in enumerate(said) if line.endswith("(primary)"))
    *shown, _conditions = _until_blank(said[head:])
    return [said[0], *shown]


def evaluated(folder: Path) -> list[str]:
    """The scores of the quickstart's last checkpoint."""
    tasks = ("--tasks", "arithmetic_chains_easy", "--samples", "16", "--k", "1,4,16", "--limit", "64")
    return list(_until_blank(prerl_spec("eval", "runs/quickstart", *tasks, cwd=folder)))


def planned(folder: Path) -> list[str]:
    """Machine, memory, time and price of the smallest real model's second phase; the model lies beside the checkout's specs."""
    words = ("--on", "1xH100-80", "--price", "H100-80=2.1")
    said = prerl_spec("plan", "specs/smollm2.toml", *words, cwd=ROOT)
    start = next(number for number, line in enumerate(said) if line.startswith("phase 2"))
    end = next(number for number, line in enumerate(said) if line.startswith("evaluation"))
    shown = [line for line in said[:start] if line.startswith("  machine")]
    kept = False
    for line in said[start:end]:
        if not line.startswith(CONTINUED):
            kept = line.split()[:1] in (["phase"], ["step"], ["forwards"], ["memory"], ["time"])
        if kept:
            shown.append(line)
    last = len(said) - next(number for number, line in enumerate(reversed(said)) if not line)
    return [*shown, *said[last:]]


def _until_blank(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        if not line:
            return
        yield line


BLOCKS: dict[str, Callable[[Path], list[str]]] = {
    "quickstart": quickstart,
    "try": tried,
    "compare": compared,
    "eval": evaluated,
    "plan": planned,
}


def main(names: Sequence[str]) -> None:
    text = README.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for name in names or BLOCKS:
            lines = "\n".join(BLOCKS[name](Path(folder)))
            text, number = re.subn(
                f"<!-- {name} -->\n.*?<!-- end -->",
                lambda _, name=name, lines=lines: f"<!-- {name} -->\n```text\n{lines}\n```\n<!-- end -->",
                text,
                flags=re.DOTALL,
            )
            assert number == 1, name
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
