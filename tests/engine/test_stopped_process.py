"""Real processes of one run: one is stopped, one gets a signal, all get two; the launcher ends with words in every case."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.engine.runs import SPEC, steps_of
from tests.engine.test_launch import LONG, environment, events, ranks_of, started, wait_for_step

pytestmark = pytest.mark.slow

TWO = ["--processes", "2"]


def line(*more: str) -> list[str]:
    return [sys.executable, "-m", "prerl_spec", "run", "spec.toml", "--run-dir", "run", *more]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_stopped_process_is_found_and_named_and_the_run_resumes(tmp_path: Path, rank: int) -> None:
    (tmp_path / "spec.toml").write_text(LONG)
    own = {**environment(), "PRERL_SPEC_STALE_SECONDS": "4"}
    with started(line(*TWO), tmp_path, own) as (process, errors):
        wait_for_step(tmp_path / "run", 5)
        os.kill(ranks_of(process)[rank], signal.SIGSTOP)
        begin = time.monotonic()
        assert process.wait(60) == 5
        assert time.monotonic() - begin < 4 + 10
    told = errors.read_text().splitlines()
    assert told[-2] == (
        f"error: process {rank} of 2 has not responded for 4 s: it is stopped or its machine is unreachable"
    )
    assert told[-1] == "  = help: re-run the same command to resume from the last checkpoint"
    assert sum("error" in one for one in told) == 1
    with started(line(*TWO), tmp_path) as (process, errors):
        wait_for_step(tmp_path / "run", 12)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 75


def test_two_signals_end_a_run_with_a_stopped_process(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(LONG)
    with started(line(*TWO), tmp_path) as (process, errors):
        wait_for_step(tmp_path / "run", 5)
        os.kill(ranks_of(process)[1], signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        while "is stopped and cannot follow" not in errors.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "interrupting: process 1 of 2 is stopped and cannot follow; a second signal ends" in errors.read_text()
        process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        assert process.wait(30) == 75
        assert time.monotonic() - begin < 10
    assert errors.read_text().splitlines()[-2:] == [
        "error: interrupted twice: the run is at its last checkpoint",
        "  = help: re-run the same command to resume",
    ]


def test_a_job_that_is_suspended_and_continued_goes_on(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(LONG)
    own = {**environment(), "PRERL_SPEC_STALE_SECONDS": "3"}
    with started(line(*TWO), tmp_path, own) as (process, errors):
        wait_for_step(tmp_path / "run", 5)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for rank in ranks_of(process):
                os.kill(rank, number)
            time.sleep(7 if number == signal.SIGSTOP else 4)
        reached = steps_of(tmp_path / "run")[-1]["global_step"]
        wait_for_step(tmp_path / "run", reached + 3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 75, errors.read_text()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_to_one_process_stops_all_at_the_same_step(tmp_path: Path, number: int) -> None:
    (tmp_path / "spec.toml").write_text(LONG)
    with started(line(*TWO, "--set", "checkpoint.every=1000"), tmp_path) as (process, errors):
        wait_for_step(tmp_path / "run", 5)
        os.kill(ranks_of(process)[1], number)
        assert process.wait(60) == 75, errors.read_text()
    last = steps_of(tmp_path / "run")[-1]["global_step"]
    assert (tmp_path / "run" / "checkpoints" / f"step-{last:06d}").is_dir()
    assert not events(tmp_path / "run", "end")


SCORED = (
    SPEC.partition("[[phases]]")[0].replace("max_position_embeddings = 64", "max_position_embeddings = 160")
    + '[[evaluate]]\nuse = "holdout"\ndata = "train"\nlimit = 384\nsamples = 16\nmax_new_tokens = 100\n'
)


def test_an_evaluation_stops_within_seconds_and_its_scores_have_the_bits_of_an_undisturbed_one(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SCORED)
    unfinished = tmp_path / "run" / "evaluation" / "unfinished"
    with started(line(*TWO), tmp_path) as (process, errors):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and len(list(unfinished.glob("generations-*"))) < 2:
            time.sleep(0.05)
        os.kill(ranks_of(process)[1], signal.SIGTERM)
        begin = time.monotonic()
        assert process.wait(60) == 75, errors.read_text()
        assert time.monotonic() - begin < 8
    kept = {file.name: file.stat().st_mtime_ns for file in unfinished.iterdir()}
    assert 2 <= len(kept) < 6
    assert not (tmp_path / "run" / "scores.json").exists()
    with started(line(*TWO), tmp_path) as (process, errors):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and len(list(unfinished.glob("generations-*"))) < 6:
            time.sleep(0.02)
        assert kept.items() <= {file.name: file.stat().st_mtime_ns for file in unfinished.iterdir()}.items()
        assert process.wait(120) == 0, errors.read_text()
    assert not unfinished.exists()
    undisturbed = [sys.executable, "-m", "prerl_spec", "run", "spec.toml", "--run-dir", "undisturbed", *TWO]
    with started(undisturbed, tmp_path) as (process, errors):
        assert process.wait(120) == 0, errors.read_text()
    scores = [(tmp_path / where / "scores.json").read_text() for where in ("run", "undisturbed")]
    assert scores[0] == scores[1]
