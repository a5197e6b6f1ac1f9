"""specs/smoke.toml by the real command: every part of the quickstart once."""

import json
from pathlib import Path

import pytest

from prerl_spec.cli.main import main

SPEC = Path(__file__).parent.parent / "specs" / "smoke.toml"
FIELDS = {
    "phase", "global_step", "task", "metric", "value", "low", "high", "questions", "samples_per_question", "seed",
    "decoding", "harness", "task_version", "task_hash", "template_hash", "generated_tokens", "trained_tokens",
    "protocol", "truncated", "unparsable", "mean_length", "tokens_scored", "interval", "fewshot",
}  # fmt: skip


def test_the_whole_path_leaves_scores_of_every_phase_and_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["run", str(SPEC), "--run-dir", str(run)]) == 0
    said = capsys.readouterr()
    scores = json.loads((run / "scores.json").read_text())
    assert all(set(s) == {*FIELDS, "check", "chain"} for s in scores)
    chains = [s for s in scores if s["task"] == "arithmetic_chains_easy"]
    assert [(s["phase"], s["metric"]) for s in chains] == [
        (phase, metric) for phase in ("base", "pretrain", "prune", "refine") for metric in ("avg@2", "pass@1", "pass@2")
    ]
    curve = [s["global_step"] for s in scores if s["task"] == "heldout" and s["metric"] == "avg@2"]
    assert curve == [50, 100, 150, 155], "every 50 steps of a phase, and at the end"
    assert "refine" in said.out
    assert "report.html" in said.out
    assert "</html>" in (run / "report.html").read_text()
    kept = sorted(f.name for f in (run / "checkpoints").iterdir())
    assert {"step-000150", "step-000152", "step-000155"} <= set(kept)
