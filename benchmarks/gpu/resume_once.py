"""A run that is killed with SIGKILL after a checkpoint, and resumed by the same command, once.

    python benchmarks/gpu/resume_once.py [--tiny --cpu]

The spec is that of dsrl_qwen3_shape.py with a checkpoint every second step. Exits with 1 unless the second command goes on
from a checkpoint and every step stands in the events once. Written for one GPU and not run on one yet.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from building import add_trial, device_of
from dsrl_qwen3_shape import settings_of, written
from facts import machine, show

HEADER = ("killed after step", "resumed from", "steps", "each once", "s to kill", "s to end")
SECONDS = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_trial(parser)
    arguments = parser.parse_args()
    device = device_of(parser, arguments)
    settings = settings_of(tiny=arguments.tiny) | {"every": 2, "pretrain": 4, "steps": 3}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "prerl_spec", "run", str(written(folder, settings))]
        run = Path(folder) / "shape"
        begin = time.perf_counter()
        killed = _kill_after_checkpoint(command, run)
        middle = time.perf_counter()
        again = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        end = time.perf_counter()
        if again.returncode != 0:
            sys.stderr.write(again.stderr)
            return 1
        events = _events(run)
    steps = [e["global_step"] for e in events if e["event"] == "step"]
    resumed = [e["from_checkpoint"] for e in events if e["event"] == "resume"]
    each_once = steps == list(range(1, 4 + 2 * 3 + 1))
    row = (killed, resumed[0] if resumed else None, len(steps), each_once, middle - begin, end - middle)
    show({**machine(device), "settings": settings}, HEADER, [row])
    return int(not (each_once and resumed and resumed[0] is not None))


def _kill_after_checkpoint(command: list[str], run: Path) -> int:
    """Kills the run, by its process group, when a step after its first checkpoint is written; returns that step."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        events = _events(run)
        steps = [e["global_step"] for e in events if e["event"] == "step"]
        if any(e["event"] == "checkpoint" for e in events):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return int(steps[-1])
        time.sleep(0.02)
    raise SystemExit("the run ended before it could be killed, or took too long")


def _events(run: Path) -> list[dict[str, Any]]:
    file = run / "events.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:  # a line that is being written
            break
    return found


if __name__ == "__main__":
    sys.exit(main())
