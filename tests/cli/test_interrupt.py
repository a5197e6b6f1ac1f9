"""Ctrl-C on the real command: exit code 75, and re-running the same command resumes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from tests.engine.runs import SPEC


def test_ctrl_c_ends_with_75_and_the_same_command_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # 60 steps meet long documents.
    roomy = SPEC.replace("max_position_embeddings = 64", "max_position_embeddings = 128")
    long = roomy.replace('use = "fixed_steps", steps = 3 }', 'use = "fixed_steps", steps = 60 }')
    (tmp_path / "spec.toml").write_text(long)
    command = [sys.executable, "-m", "prerl_spec", "run", "spec.toml"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    events = tmp_path / "runs" / "small" / "events.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not events.exists() or events.read_text().count('"step"') < 5):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75, said
    assert "re-run the same command to resume" in said
    assert "Traceback" not in said
    # In this process, which has imported all that a new one would import again.
    monkeypatch.chdir(tmp_path)
    assert main(command[3:]) == 0
    assert "resuming: runs/small" in capsys.readouterr().err
    steps = [e["global_step"] for e in map(json.loads, events.read_text().splitlines()) if e["event"] == "step"]
    assert steps == list(range(1, 66)), "no step is lost or repeated"
