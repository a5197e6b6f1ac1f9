"""`prerl-spec eval` of several models in one call: one table, a folder each; as a run scores; interrupts; other samplers."""

import argparse
import csv
import io
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.cli.main import main
from prerl_spec.cli.runs import eval as command
from prerl_spec.cli.runs.eval_request import evaluator_of
from prerl_spec.cli.shared import ticker
from prerl_spec.cli.shared.ticker import Ticker
from prerl_spec.engine.run import kept_rounds
from prerl_spec.engine.run.kept_rounds import samples_per_round
from prerl_spec.errors import UsageError
from prerl_spec.evaluation.like import like_run
from prerl_spec.evaluation.model_folders import model_names, models_in
from prerl_spec.storage.sealed import read_array
from prerl_spec.testing.tiny import save_tiny
from tests.components.server_double import KEY, serving
from tests.evaluation.agreement.kinds import write_kinds
from tests.evaluation.sites import write_rows
from tests.evaluation.test_eval_command import SPEC, run_folder

SUMS = ["--include", "tasks", "--tasks", "sums", "--max-new-tokens", "6"]
"""A task without a verifier, whose processes would take longer than a tiny model."""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    write_kinds(tmp_path / "tasks")
    return [str(save_tiny(Path(name), seed=seed)) for seed, name in enumerate(["first", "second"])]


def scores_in(folder: str) -> list[dict[str, Any]]:
    return read_array(Path(folder, "scores.json"))


def evaluator(*words: str, like: Any = None) -> Any:
    parser = argparse.ArgumentParser()
    command.add(parser)
    return evaluator_of(parser.parse_args(["model", *words]), like)


def test_several_models_have_one_table_and_a_folder_each(models: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    asked = [*SUMS, "--samples", "3", "--limit", "2", "--out", "scored"]
    assert main(["eval", *models, *asked, "--out-table", "table.csv"]) == 0
    table, taken, places = capsys.readouterr().out.split("\n\n")
    assert taken.startswith("max_new_tokens 6, ")
    heading, *lines = table.splitlines()
    assert heading.split()[:3] == ["model", "task", "metric"]
    assert places == "scores, responses and questions: a folder a model in scored\n"
    written = [(name, score) for name in ("first", "second") for score in scores_in(f"scored/{name}")]
    shown = [[name, "sums", score["metric"]] for name, score in written if "pass@1" not in score["metric"]]
    assert [line.split()[:3] for line in lines] == shown
    assert len(shown) == len(written) - 2
    rows = list(csv.DictReader(io.StringIO(Path("table.csv").read_text(encoding="utf-8"))))
    assert [(row["model"], row["metric"], float(row["value"]), row["max_new_tokens"]) for row in rows] == [
        (name, score["metric"], score["value"], "6") for name, score in written
    ]
    assert [folder.name for folder in models_in(Path("scored"))] == ["first", "second"]
    assert main(["compare", "scored", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["baseline"] == "first"
    save_tiny(Path("elsewhere/first"), seed=7)
    assert main(["eval", "elsewhere/first", models[1], *asked]) == 2
    assert "holds the scores of another model" in capsys.readouterr().err
    assert scores_in("scored/first") == [score for name, score in written if name == "first"]
    responses_are_shown_and_exported("scored", capsys)


def responses_are_shown_and_exported(out: str, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow.parquet

    assert main(["samples", f"{out}/first", "--limit", "2"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("sums, base (global step 0): 6 wrong\n")
    assert told.count("--- prompt") == 2
    assert "4 more: --limit 6" in told
    assert main(["samples", f"{out}/first", "--export", "all.parquet"]) == 0
    capsys.readouterr()
    rows = pyarrow.parquet.read_table("all.parquet").to_pylist()
    (file,) = Path(out, "first", "samples").iterdir()
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 6
    for row, line in zip(rows, lines, strict=True):
        assert (row["task"], row["response"], row["verdict"], row["tokens"]) == (
            ("sums", line["response"], line["verdict"], line["tokens"])
        )
        assert json.loads(row["more"])["values"] == line["values"]
    for words, said in (
        ([out], "holds the scores of several models"),
        ([f"{out}/first", "--task", "gsm8k"], "it has those of sums (phase base, step 0)"),
    ):
        assert main(["samples", *words]) == 2
        assert said in capsys.readouterr().err


def test_models_are_told_apart_by_as_few_words_as_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, other, later = (f"runs/{name}/checkpoints/step-{step:06d}" for name, step in (("a", 20), ("b", 20), ("b", 40)))
    for place in (one, other, later):
        Path(place).mkdir(parents=True)
    assert model_names([other, later]) == ["step-000020", "step-000040"]
    assert model_names([one, other]) == ["a-step-000020", "b-step-000020"]
    assert model_names(["runs/a", "runs/b", "Qwen/Qwen3-0.6B"]) == ["a", "b", "Qwen--Qwen3-0.6B"]
    with pytest.raises(UsageError, match="named twice"):
        model_names([one, f"{one}/"])


EVALUATED = """
[[evaluate]]
use = "holdout"
data = "train"
samples = 9
[[evaluate]]
use = "lm_eval"
tasks = ["sums", "filters_few_shot"]
include = ["tasks"]
samples = 3
temperature = 0.25
limit = 1
"""


def test_every_model_is_scored_as_a_run_scores(
    tmp_path: Path, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "spec.toml"
    rows = write_rows(tmp_path / "rows.jsonl")
    spec.write_text(SPEC.format(model=tmp_path / "first", rows=rows) + EVALUATED, encoding="utf-8")
    folder = run_folder(tmp_path, spec, tmp_path / "first", phase=0, step=1)
    assert main(["eval", models[1], "--like", str(folder), "--out", "alike"]) == 0
    found = scores_in("alike")
    assert {score["task"] for score in found} == {"sums", "filters_few_shot"}
    for score in found:
        assert (score["seed"], score["samples_per_question"], score["questions"]) == (5, 3, 1)
        assert score["decoding"] == {"temperature": 0.25, "top_p": 1.0, "top_k": 0, "max_new_tokens": 9, "stop": []}
    (line, *_) = Path("alike/samples/base-000000-sums.jsonl").read_text().splitlines()
    assert json.loads(line)["input"].startswith("Be brief.\n\n")
    like = like_run(str(spec), ["sums"])
    assert like.of_target["seed"] == 5
    overridden = evaluator("--tasks", "sums", "--samples", "1", "--seed", "6", like=like)
    assert (overridden.tasks, overridden.samples, overridden.seed, overridden.temperature) == (("sums",), 1, 6, 0.25)
    by_protocol = evaluator("--tasks", "sums", "--protocol", "greedy", "--k", "1", like=like)
    assert (by_protocol.protocol, by_protocol.k, by_protocol.temperature, by_protocol.limit) == (
        "greedy",
        (1,),
        None,
        1,
    )
    with pytest.raises(UsageError, match="no tasks are named"):
        evaluator()
    assert main(["eval", models[0], "--like", "first", "--out", "other"]) == 2
    assert "neither a run folder nor a spec" in capsys.readouterr().err


def test_ctrl_c_ends_with_75_and_the_same_command_goes_on_with_the_same_bits(
    models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kept_rounds, "SAMPLES_PER_ROUND", 4)
    asked = ["eval", models[0], *SUMS, "--samples", "2"]
    assert main([*asked, "--out", "undisturbed"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(Ticker, "tick", _interrupts_beyond(8))
        capsys.readouterr()
        assert main([*asked, "--out", "stopped"]) == 75
        assert "re-run the same command" in capsys.readouterr().err
    assert len(list(Path("stopped/unfinished").iterdir())) == 2, "rounds of two questions with two samples each"
    drawn: list[int] = []
    keep = kept_rounds.Round.keep

    def counted(self: Any, result: Sequence[Any]) -> None:
        drawn.append(len(result))
        keep(self, result)

    monkeypatch.setattr(kept_rounds.Round, "keep", counted)
    assert main([*asked, "--out", "stopped"]) == 0
    assert drawn == [2], "the last round is drawn, the first two are read back"
    assert not Path("stopped/unfinished").exists()
    for kind in ("questions", "samples"):
        (one,), (whole,) = (list(Path(out, kind).iterdir()) for out in ("stopped", "undisturbed"))
        assert one.read_bytes() == whole.read_bytes()
    assert Path("stopped/scores.json").read_bytes() == Path("undisturbed/scores.json").read_bytes()


def _interrupts_beyond(num_samples: int) -> Any:
    sent: list[int] = []

    def tick(self: Ticker, stage: str, done: int, total: int) -> None:
        if done > num_samples and not sent:
            sent.append(done)
            os.kill(os.getpid(), signal.SIGINT)

    return tick


def test_rounds_are_as_long_as_a_machine_can_afford_to_lose() -> None:
    small, large = 30_000, 135_000_000
    assert samples_per_round(1024, parameters=small, on_cpu=True) == 1024
    assert samples_per_round(256, parameters=large, on_cpu=True) == 144
    assert samples_per_round(32_768, parameters=large, on_cpu=True) == 16
    assert samples_per_round(1024, parameters=large, on_cpu=False) == 1024
    assert samples_per_round(32_768, parameters=large, on_cpu=False) == 32
    assert samples_per_round(32_768, parameters=large, on_cpu=False, own_engine=True) == 256
    assert samples_per_round(1 << 30, parameters=large, on_cpu=False) == 1


def test_servers_draw_what_the_model_would_draw(
    models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    greedy = ["eval", models[0], *SUMS, "--temperature", "0", "--limit", "3", "--out", "scored"]
    with serving() as server:
        assert main(greedy) == 0
        assert main([*greedy, "--sampler", "vllm_server", "--url", server.url, "--key-from", "THE_KEY"]) == 0
        prompts = [json.dumps(asked["prompt"]) for asked in server.drawn]
    assert len(set(prompts)) >= 3, "the cached scores of another sampler are not its own"
    own, through = scores_in("scored")
    assert (own["decoding"].get("sampler"), through["decoding"]["sampler"]) == (None, "vllm_server")
    first, second = (Path("scored/samples", f"base-000000-sums{end}.jsonl") for end in ("", "~2"))
    assert first.read_text() == second.read_text(), "greedy responses of the same weights"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--sampler", "vllm"], 3, "--sampler vllm needs vllm"),
        (["--sampler", "vllm_server", "--url", "http://127.0.0.1:9"], 3, "nothing listens there"),
        (["--sampler", "vllm_server"], 2, "--url"),
        (["--url", "http://127.0.0.1:9"], 2, "--sampler transformers takes no --url"),
        (["--engine", "x=1"], 2, "--sampler transformers takes no --engine"),
        (["--sampler", "nobodys"], 3, "the sampler `nobodys` is not installed"),
        (["--out-table", "table.xlsx"], 2, "the ending names no form"),
    ],
)
def test_what_cannot_be_sampled_with_is_said_before_anything_is_loaded(
    models: list[str], words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", models[0], *SUMS, "--out", "scored", *words]) == code
    assert said in capsys.readouterr().err
    assert not Path("scored").exists()


def test_off_a_terminal_progress_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(ticker, "monotonic", lambda: now)
    with Ticker(lines=True) as shown:
        for done in range(201):
            shown.tick("evaluate:sums", done, 200)
        now = 29.0
        shown.tick("evaluate:sums", 200, 200)
        now = 31.0
        shown.tick("evaluate:sums", 200, 200)
        shown.tick("verify", 0, 5)
    told = capsys.readouterr().err.splitlines()
    assert told == [*(f"evaluate sums {20 * n}/200" for n in range(11)), "evaluate sums 200/200", "verify 0/5"]
    with Ticker() as silent:
        silent.tick("check", 1, 2)
    assert capsys.readouterr().err == ""
