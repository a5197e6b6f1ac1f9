"""`prerl-spec eval` of several models in one call: one table, a folder each; as a run scores; interrupts; other samplers."""

import csv
import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.cli.main import main
from prerl_spec.cli.shared import ticker
from prerl_spec.cli.shared.ticker import Ticker
from prerl_spec.engine.run import kept_rounds
from prerl_spec.engine.run.kept_rounds import samples_per_round
from prerl_spec.errors import UsageError
from prerl_spec.evaluation.model_folders import model_names, models_in
from prerl_spec.testing.tiny import save_tiny
from tests.components.server_double import KEY, serving
from tests.evaluation.sites import write_rows
from tests.evaluation.test_eval_command import SPEC, run_folder, scores_in

SHORT = ["--tasks", "arithmetic_chains_easy", "--limit", "2", "--max-new-tokens", "6"]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    return [str(save_tiny(Path(name), seed=seed)) for seed, name in enumerate(["first", "second"])]


def test_several_models_have_one_table_and_a_folder_each(models: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", *models, *SHORT, "--out", "scored", "--out-table", "table.csv"]) == 0
    told = capsys.readouterr()
    table = told.out.partition("\n\n")[0].splitlines()
    assert table[0].split()[:3] == ["model", "task", "metric"]
    assert [line.split()[0] for line in table[1:]] == ["first", "first", "second", "second"]
    assert [folder.name for folder in models_in(Path("scored"))] == ["first", "second"]
    rows = list(csv.DictReader(io.StringIO(Path("table.csv").read_text(encoding="utf-8"))))
    scores = [score for name in ("first", "second") for score in scores_in(Path("scored", name, "scores.json"))]
    for row, score in zip(rows, scores, strict=True):
        assert (row["task"], row["metric"], float(row["value"])) == (score["task"], score["metric"], score["value"])
        assert row["max_new_tokens"] == "6"
    assert main(["compare", "scored", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["baseline"] == "first"


@pytest.mark.parametrize("form", ["csv", "markdown", "latex", "json"])
def test_stdout_is_the_table_alone_in_other_forms(
    models: list[str], form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", models[0], *SHORT, "--out", "scored", "--format", form]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    if form == "json":
        (model,) = json.loads(told.out)["models"]
        assert [score["metric"] for score in model["scores"]] == [
            s["metric"] for s in scores_in(Path("scored/scores.json"))
        ]
    elif form == "csv":
        assert len(list(csv.DictReader(lines))) == 2
    elif form == "markdown":
        assert all(line.startswith("| ") for line in lines)
        assert r"arithmetic\_chains\_easy" in lines[2]
    else:
        assert lines[1].startswith(r"\begin{tabular}")
        assert r"arithmetic\_chains\_easy" in told.out
    assert "scored/scores.json" in told.err


def test_a_folder_keeps_to_its_model(models: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", *models, *SHORT, "--out", "scored"]) == 0
    save_tiny(Path("elsewhere/first"), seed=7)
    assert main(["eval", "elsewhere/first", models[1], *SHORT, "--out", "scored"]) == 2
    assert "holds the scores of another model" in capsys.readouterr().err
    with pytest.raises(UsageError, match="named twice"):
        model_names([models[0], f"{models[0]}/"])


def test_models_are_told_apart_by_as_few_words_as_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, other, later = (f"runs/{name}/checkpoints/step-{step:06d}" for name, step in (("a", 20), ("b", 20), ("b", 40)))
    for place in (one, other, later):
        Path(place).mkdir(parents=True)
    assert model_names([other, later]) == ["step-000020", "step-000040"]
    assert model_names([one, other]) == ["a-step-000020", "b-step-000020"]
    assert model_names(["runs/a", "runs/b", "Qwen/Qwen3-0.6B"]) == ["a", "b", "Qwen--Qwen3-0.6B"]


EVALUATED = """
[[evaluate]]
use = "holdout"
data = "train"
samples = 9
[[evaluate]]
use = "lm_eval"
tasks = ["arithmetic_chains_easy", "arithmetic_chains_hard"]
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
    assert main(["eval", *models, "--like", str(folder), "--out", "alike"]) == 0
    found = [score for name in ("first", "second") for score in scores_in(Path("alike", name, "scores.json"))]
    assert {score["task"] for score in found} == {"arithmetic_chains_easy", "arithmetic_chains_hard"}
    for score in found:
        assert (score["seed"], score["samples_per_question"], score["questions"]) == (5, 3, 1)
        assert score["decoding"] == {"temperature": 0.25, "top_p": 1.0, "top_k": 0, "max_new_tokens": 9, "stop": []}
    (line, *_) = Path("alike/first/samples/base-000000-arithmetic_chains_easy.jsonl").read_text().splitlines()
    assert json.loads(line)["input"].startswith("Be brief.\n\n")
    override = ["--tasks", "arithmetic_chains_easy", "--samples", "1", "--seed", "6"]
    assert main(["eval", models[0], "--like", str(spec), *override, "--out", "other"]) == 0
    assert {(s["seed"], s["samples_per_question"]) for s in scores_in(Path("other/scores.json"))} == {(6, 1)}
    assert main(["eval", models[0], "--out", "other"]) == 2
    assert "no tasks are named" in capsys.readouterr().err
    assert main(["eval", models[0], "--like", "first", "--out", "other"]) == 2
    assert "neither a run folder nor a spec" in capsys.readouterr().err


def test_ctrl_c_ends_with_75_and_the_same_command_goes_on_with_the_same_bits(
    models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kept_rounds, "SAMPLES_PER_ROUND", 4)
    command = ["eval", models[0], "--tasks", "arithmetic_chains_easy", "--samples", "2", "--limit", "8"]
    command += ["--max-new-tokens", "12"]
    assert main([*command, "--out", "undisturbed"]) == 0
    ticks = 0

    def stops(self: Ticker, stage: str, done: int, total: int) -> None:
        nonlocal ticks
        ticks += done > 8
        if ticks == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Ticker, "tick", stops)
        capsys.readouterr()
        assert main([*command, "--out", "stopped"]) == 75
        assert "re-run the same command" in capsys.readouterr().err
    kept = {file.name: file.stat().st_mtime_ns for file in Path("stopped/unfinished").iterdir()}
    assert len(kept) == 2, "rounds of two questions with two samples each"
    # Another condition in between neither uses what is kept nor removes it.
    assert main([*command, "--seed", "9", "--out", "stopped"]) == 0
    assert {file.name: file.stat().st_mtime_ns for file in Path("stopped/unfinished").iterdir()} == kept
    drawn: list[int] = []
    whole = kept_rounds.Round.keep

    def counted(self: Any, result: Any) -> None:
        drawn.append(len(result))
        whole(self, result)

    monkeypatch.setattr(kept_rounds.Round, "keep", counted)
    assert main([*command, "--out", "stopped"]) == 0
    assert drawn[:2] == [2, 2], "the last two rounds are drawn, the first two read back"
    assert not Path("stopped/unfinished").exists()
    own = [score for score in scores_in(Path("stopped/scores.json")) if score["seed"] == 0]
    assert own == scores_in(Path("undisturbed/scores.json"))
    name = "base-000000-arithmetic_chains_easy"
    questions = [file.read_bytes() for file in Path("stopped/questions").glob(f"{name}*.jsonl")]
    assert Path("undisturbed/questions", f"{name}.jsonl").read_bytes() in questions


def test_rounds_are_as_long_as_a_machine_can_afford_to_lose() -> None:
    small, large = 30_000, 135_000_000
    assert samples_per_round(1024, parameters=small, on_cpu=True) == 1024
    assert samples_per_round(256, parameters=large, on_cpu=True) == 144
    assert samples_per_round(32_768, parameters=large, on_cpu=True) == 16
    assert samples_per_round(1024, parameters=large, on_cpu=False) == 1024
    assert samples_per_round(32_768, parameters=large, on_cpu=False) == 32
    assert samples_per_round(32_768, parameters=large, on_cpu=False, own_engine=True) == 256
    assert samples_per_round(1 << 30, parameters=large, on_cpu=False) == 1


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
    assert main(["eval", models[0], *SHORT, "--out", "scored", *words]) == code
    assert said in capsys.readouterr().err
    assert not Path("scored").exists()


def test_servers_draw_what_the_model_would_draw(
    models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    greedy = [*SHORT, "--temperature", "0", "--out", "scored"]
    with serving() as server:
        assert main(["eval", models[0], *greedy]) == 0
        asked = len(server.drawn)
        through = ["--sampler", "vllm_server", "--url", server.url, "--key-from", "THE_KEY"]
        assert main(["eval", models[0], *greedy, *through]) == 0
        assert len(server.drawn) > asked, "the cached scores of another sampler are not its own"
    scores = scores_in(Path("scored/scores.json"))
    assert [score["decoding"].get("sampler") for score in scores] == [None, None, "vllm_server", "vllm_server"]
    assert scores[0]["value"] == scores[2]["value"]
    first, second = (Path("scored/samples", f"base-000000-arithmetic_chains_easy{end}.jsonl") for end in ("", "~2"))
    assert first.read_text() == second.read_text(), "greedy responses of the same weights"


def test_responses_to_a_benchmark_are_shown_and_exported(models: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", *models, *SHORT, "--samples", "3", "--out", "scored"]) == 0
    capsys.readouterr()
    assert main(["samples", "scored/first", "--limit", "2"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("arithmetic_chains_easy, base (global step 0): ")
    assert told.count("--- prompt") == 2
    assert "4 more: --limit 6" in told
    assert main(["samples", "scored/first", "--export", "all.parquet"]) == 0
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table("all.parquet").to_pylist()
    lines = map(json.loads, next(Path("scored/first/samples").iterdir()).read_text(encoding="utf-8").splitlines())
    assert [(row["response"], row["verdict"], row["tokens"]) for row in rows] == [
        (line["response"], line["verdict"], line["tokens"]) for line in lines
    ]
    assert {row["task"] for row in rows} == {"arithmetic_chains_easy"}
    for words, said in (
        (["scored"], "holds the scores of several models"),
        (["scored/first", "--task", "gsm8k"], "it has those of arithmetic_chains_easy (phase base, step 0)"),
    ):
        assert main(["samples", *words]) == 2
        assert said in capsys.readouterr().err
