"""The stages of one lease of a GPU machine, the most worth first, each a process of its own with a limit of its own.

    python benchmarks/gpu/lease_stages.py [--out FOLDER] [--seconds 540] [--only STAGE ...] [--tiny --cpu]

`lease` beside this file installs what such a machine lacks and then runs this. A stage that fails or runs out of its time
costs no other one anything; what is known is in FOLDER/lease.json after each stage. Written for one H200 and not run on
one yet; `--tiny --cpu` runs every stage with a model of two layers.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LEAST = 10.0
"""Seconds below which no further stage is begun."""


@dataclass(frozen=True)
class Stage:
    """A script of this folder with its arguments; `seconds` is its limit."""

    name: str
    seconds: float
    script: str
    arguments: tuple[str, ...] = ()


STAGES = (
    Stage("packed log-probs", 45, "packed_logprobs.py"),
    Stage("mfu 1.7B", 80, "trainer_mfu.py", ("--shape", "1.7B")),
    Stage("mfu 0.6B", 50, "trainer_mfu.py", ("--shape", "0.6B")),
    Stage("dsrl 0.6B", 120, "dsrl_qwen3_shape.py", ("--steps", "10", "--pretrain", "60")),
    Stage("sampler 0.6B", 60, "embedded_rate.py", ("--shape", "0.6B")),
    Stage("mfu 4B", 90, "trainer_mfu.py", ("--shape", "4B", "--recompute", "--samples", "32", "--repeats", "2")),
    Stage("kill and resume", 90, "resume_once.py"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=Path(os.environ.get("OUT", ".")), help="folder of lease.json; default: $OUT"
    )
    parser.add_argument("--seconds", type=float, default=540.0, help="of all stages together")
    parser.add_argument("--only", nargs="+", default=[stage.name for stage in STAGES], metavar="STAGE")
    parser.add_argument("--tiny", action="store_true", help="a model of two layers, little work")
    parser.add_argument("--cpu", action="store_true", help="run on the CPU even if a GPU is available")
    arguments = parser.parse_args()
    trial = [flag for flag, is_set in (("--tiny", arguments.tiny), ("--cpu", arguments.cpu)) if is_set]
    end = time.monotonic() + arguments.seconds
    found: list[dict[str, Any]] = []
    for stage in (s for s in STAGES if s.name in arguments.only):
        left = end - time.monotonic()
        result = _run(stage, trial, min(stage.seconds, left)) if left > LEAST else {"left out": "no time left"}
        found.append({"stage": stage.name, **result})
        (arguments.out / "lease.json").write_text(json.dumps(found, indent=1))
        print(json.dumps(found[-1]), flush=True)
    return int(any(stage.get("code") != 0 for stage in found))


def _run(stage: Stage, trial: list[str], seconds: float) -> dict[str, Any]:
    """Its last line, which is JSON, with exit code and seconds; the end of its output if it failed."""
    begin = time.monotonic()
    command = [sys.executable, str(HERE / stage.script), *stage.arguments, *trial]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    is_late = False
    try:
        out, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        is_late = True
        kill_whole(process.pid)
        out, said = process.communicate()
    result: dict[str, Any] = {
        "code": None if is_late else process.returncode,
        "seconds": round(time.monotonic() - begin, 1),
    }
    if is_late:
        return {**result, "failed": f"over its limit\n{said[-2000:]}"}
    lines = out.strip().splitlines()
    try:
        result["found"] = json.loads(lines[-1])
    except (IndexError, ValueError):
        result["failed"] = (out + said)[-2000:]
    if process.returncode != 0:
        result["failed"] = said[-2000:]
    return result


def kill_whole(pid: int) -> None:
    """Kills a process with all that descend from it, in groups of their own or not: they would keep a GPU's memory."""
    for one in (pid, *_descendants(pid)):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    """By /proc: empty elsewhere than on Linux."""
    parents: dict[int, int] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # After the name, which may hold anything, in brackets: state, parent, …
            parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


if __name__ == "__main__":
    sys.exit(main())
