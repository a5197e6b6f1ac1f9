"""`prerl-spec samples`: what the model wrote, as it was judged; a response cannot steer the terminal."""

import argparse
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.cli.results import samples
from prerl_spec.errors import UsageError
from prerl_spec.report.tables.attempts import ShownAttempt
from tests.run_files import ends_of_frames


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    parser = argparse.ArgumentParser()
    samples.add(parser)
    assert samples.run(parser.parse_args(arguments)) == 0
    return capsys.readouterr().out


def test_the_last_step_is_shown_with_its_verdicts(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, str(run_folder))
    assert text.startswith("refine step 45 (global step 120): 4 right, 2 wrong, 2 unparsable\n")
    assert text.count("--- prompt") == 8
    for line in ("question:  Q: 29", "gold:      92", "extracted: 82", "detail:    no \\boxed{} in it"):
        assert line in text


def test_a_verdict_a_phase_and_a_limit_choose(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, str(run_folder), "--phase", "prune", "--verdict", "wrong", "--limit", "1")
    assert text.startswith("prune step 15 (global step 75)")
    assert (text.count(": wrong, reward 0"), text.count("--- prompt")) == (1, 1)
    assert "... 1 more: --limit 2" in text


def test_a_response_cannot_steer_the_terminal(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, str(run_folder), "--step", "61", "--verdict", "unparsable")
    assert "\\x1b[31m\\u202egnp" in text
    assert not set(text) & {"\x1b", "\u202e"}


def test_json_has_what_the_text_has_and_cannot_steer_the_terminal(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(shown(capsys, str(run_folder), "--phase", "prune", "--limit", "1", "--format", "json"))
    assert (found["phase"], found["step"], found["global_step"]) == ("prune", 15, 75)
    assert (sum(found["counts"].values()), found["chosen"], len(found["attempts"])) == (8, 8, 1)
    assert set(found["attempts"][0]) == {field.name for field in fields(ShownAttempt)}
    text = shown(capsys, str(run_folder), "--step", "61", "--verdict", "unparsable", "--format", "json")
    assert any("\x1b[31m\u202egnp" in one["text"] for one in json.loads(text)["attempts"])
    assert text.isascii()


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--step", "3"], "global step 3 is not in the journal", "61, 75-76, 120"),
        (["--phase", "prunee"], "phase prunee has no sampled step", "prune, refine"),
        (["--step", "61", "--phase", "refine"], "global step 61 does not belong to phase refine", "prune, refine"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    run_folder: Path, arguments: list[str], message: str, hint: str
) -> None:
    parser = argparse.ArgumentParser()
    samples.add(parser)
    with pytest.raises(UsageError, match=message) as caught:
        samples.run(parser.parse_args([str(run_folder), *arguments]))
    assert hint in str(caught.value.hint)


def test_a_step_killed_before_its_verdicts_shows_unverified_attempts(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run_folder / "journal" / "step-000120.journal"
    file.write_bytes(file.read_bytes()[: ends_of_frames(file)[2] + 40])
    text = shown(capsys, str(run_folder))
    assert "8 unverified" in text


@pytest.mark.parametrize(
    "module", ["prerl_spec.cli.results.samples", "prerl_spec.cli.results.report", "prerl_spec.report.terminal.progress"]
)
def test_neither_command_nor_display_loads_anything_heavy(module: str) -> None:
    heavy = {"torch", "transformers", "datasets", "lm_eval", "scipy"}
    code = f"import sys, {module}; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_an_export_opens_with_datasets_and_holds_what_the_journal_holds(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from datasets import load_dataset

    out = tmp_path / "attempts.parquet"
    assert main(["samples", str(run_folder), "--export", str(out)]) == 0
    assert "32 attempts of 4 steps" in capsys.readouterr().out
    rows = load_dataset("parquet", data_files=str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(rows) == 32
    assert [row["global_step"] for row in rows][::8] == [61, 75, 76, 120]
    assert rows[1] | {"response": ""} == rows[1] | {
        "verdict": "wrong",
        "reward": 0.0,
        "tokens": [5] * 47,
        "response": "",
    }
    assert rows[1]["logps"] is None
    assert main(["samples", str(run_folder), "--export", str(out)]) == 2
    assert "attempts.parquet exists" in capsys.readouterr().err
    assert main(["samples", str(run_folder), "--export", str(tmp_path / "x.parquet"), "--phase", "nix"]) == 2
    out = tmp_path / "right.parquet"
    assert main(["samples", str(run_folder), "--export", str(out), "--phase", "prune", "--verdict", "right"]) == 0
    assert "8 attempts of 2 steps" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_said_and_not_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for name, what in (("nix", "does not exist"), ("file", "is a file")):
        for more in ([], ["--export", str(tmp_path / "x.parquet")]):
            assert main(["samples", str(tmp_path / name), *more]) == 2
            assert capsys.readouterr().err.startswith(f"error: {tmp_path / name} {what}\n")
