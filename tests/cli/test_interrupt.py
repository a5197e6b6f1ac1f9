"""Ctrl-C on the real command: exit code 75, and re-running the same command resumes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.engine.runs import SPEC


def test_ctrl_c_ends_with_75_and_the_same_command_finishes(tmp_path: Path) -> None:
    # 120 steps meet long documents.
    roomy = SPEC.replace("max_position_embeddings = 64", "max_position_embeddings = 128")
    long = roomy.replace('use = "fixed_steps", steps = 3 }', 'use = "fixed_steps", steps = 120 }')
    (tmp_path / "spec.toml").write_text(long)
    command = [sys.executable, "-m", "prerl_spec", "run", "spec.toml"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    events = tmp_path / "runs" / "small" / "events.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not events.exists() or events.read_text().count('"step"') < 20):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75, said
    assert "re-run the same command to resume" in said
    assert "Traceback" not in said
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert "resuming: runs/small" in finished.stderr
    steps = [e["global_step"] for e in map(json.loads, events.read_text().splitlines()) if e["event"] == "step"]
    assert steps == list(range(1, 126)), "no step is lost or repeated"
