"""A run's meaning covers the local files of its model: tokenizer, chat template and weights are those that it began with."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.cli import main as cli
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.past_runs.model_files import CACHED_BYTES, FILES, hash_model_files, model_folders
from prerl_spec.engine.policy.frozen_base import refuse_another_commit
from prerl_spec.errors import Drift
from prerl_spec.testing.tiny import byte_tokenizer, save_tiny, tiny_loaded
from tests.run_files import write_object

TEMPLATE = "chat_template.jinja"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "prerl-spec" / "file_hashes.json"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A spec on a local model with a tokenizer of its own folder, and no other tokenizer."""
    save_tiny(tmp_path / "model")
    byte_tokenizer().save_pretrained(tmp_path / "tokenizer")
    (tmp_path / "model" / "README.md").write_text("a model")
    file = tmp_path / "spec.toml"
    file.write_text(f"""
spec = 1
run = {{ name = "small", output_dir = "{tmp_path}/runs" }}
model = {{ use = "hf_causal", name = "{tmp_path}/model", tokenizer = "{tmp_path}/tokenizer" }}
data.train = {{ use = "arithmetic_chains", part = "corpus", steps = [1, 1] }}
optimizer = {{ use = "adamw", lr = 1e-3 }}
[[phases]]
id = "only"
documents_per_step = 2
objective = "next_token"
schedule = {{ use = "fixed_steps", steps = 1 }}
""")
    return file


def begun(spec: Path) -> Path:
    """The folder of a run that was killed after it had written its manifest."""
    plan = compile_spec(spec).plan
    folder = spec.parent / "runs" / "small"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.text(), encoding="utf-8")
    (folder / "spec.toml").write_text(plan.spec_text, encoding="utf-8")
    write_object(folder / "manifest.json", {FILES: hash_model_files(plan)})
    return folder


def change(file: Path) -> None:
    content = file.read_bytes() if file.exists() else b""
    if file.suffix == ".jinja":
        file.write_bytes(content + b"{{ more }}")
    else:
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (f"tokenizer/{TEMPLATE}", ""),
        ("tokenizer/additional_chat_templates/tool.jinja", "absent when the run began"),
        ("tokenizer/tokenizer.json", ""),
        ("model/model.safetensors", ""),
        ("model/config.json", ""),
    ],
)
def test_a_resume_with_other_files_is_refused_with_the_file_and_both_hashes(
    changed: str, words: str, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = begun(spec)
    (spec.parent / changed).parent.mkdir(exist_ok=True)
    change(spec.parent / changed)
    commands = (["resume", str(folder)], ["resume", str(folder), str(spec)], ["run", str(spec)])
    for command in commands if changed.startswith("tokenizer/chat") else commands[:1]:
        assert cli.main(command) == 4, command
        told = capsys.readouterr().err
        assert "error[E0501]: local files of the model differ" in told
        (line,) = (line for line in told.splitlines() if " now" in line)
        assert line.startswith(f"  {spec.parent / changed}: {words}")
        was, now = line.rsplit(": ", 1)[1].split(" when the run began, ")
        assert was != now.removesuffix(" now")
    assert {"events.jsonl", "checkpoints"} & set(os.listdir(folder)) == set()


def test_a_run_records_its_files_and_goes_on_while_they_are_the_same(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", str(spec)]) == 0
    folder = spec.parent / "runs" / "small"
    recorded: Any = json.loads((folder / "manifest.json").read_text())[FILES]
    assert {"model.safetensors", "config.json"} <= set(recorded[f"{spec.parent}/model"])
    assert {"tokenizer.json", TEMPLATE} <= set(recorded[f"{spec.parent}/tokenizer"])
    assert "README.md" not in recorded[f"{spec.parent}/model"]
    (spec.parent / "model" / "README.md").write_text("changed")
    assert cli.main(["resume", str(folder)]) == 0
    change(spec.parent / "tokenizer" / TEMPLATE)
    more = spec.read_text().replace("steps = 1 }", "steps = 2 }")
    (spec.parent / "more.toml").write_text(more)
    assert cli.main(["resume", str(folder), str(spec.parent / "more.toml")]) == 4
    assert TEMPLATE in capsys.readouterr().err


def test_a_plan_names_the_folders_that_a_run_hashes(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", str(spec)]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert f"tokenizer and chat template in {spec.parent}/tokenizer are hashed when the run starts" in page
    assert model_folders(compile_spec(spec).plan) == {f"{spec.parent}/tokenizer": False, f"{spec.parent}/model": True}


def test_large_files_are_hashed_once_and_small_ones_every_time(spec: Path, cache: Path) -> None:
    plan, weights = compile_spec(spec).plan, spec.parent / "model" / "model.safetensors"
    with weights.open("ab") as file:
        file.truncate(CACHED_BYTES)
    first = hash_model_files(plan)
    assert not cache.exists()  # changed a moment ago: another change may come within one tick of the clock
    later = time.time() + 60
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr("time.time", lambda: later)
        assert hash_model_files(plan) == first
    (entry,) = json.loads(cache.read_text()).items()
    assert entry[0] == str(weights)
    cache.write_text(json.dumps({entry[0]: [*entry[1][:-1], "0" * 64]}))
    assert hash_model_files(plan)[str(weights.parent)][weights.name] == "0" * 64  # it is read
    change(weights)
    assert hash_model_files(plan)[str(weights.parent)][weights.name] not in ("0" * 64, entry[1][-1])
    cache.write_bytes(b"\xff not json")
    assert hash_model_files(plan) == hash_model_files(plan)


def test_rows_of_a_benchmark_that_changed_stop_a_resume(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = spec.parent / "rows.jsonl"
    rows.write_text('{"problem": "1+1?", "answer": "2"}\n')
    scored = f'\n[[evaluate]]\nuse = "lm_eval"\ntasks = ["math500_boxed"]\ndata = {{ math500_boxed = "{rows}" }}\n'
    sampler = '\n[sampler]\nuse = "transformers"\nmax_new_tokens = 8\n[verifier]\nuse = "math_verify"\n'
    spec.write_text(spec.read_text() + scored + sampler)
    folder = begun(spec)
    rows.write_text('{"problem": "1+1?", "answer": "3"}\n')
    assert cli.main(["resume", str(folder)]) == 4
    assert f"{rows} has changed since the plan was made" in capsys.readouterr().err


def test_a_branch_of_the_hub_that_has_moved_stops_a_resume() -> None:
    loaded = replace(tiny_loaded(), source={"name": "acme/tiny", "revision": "b" * 40})
    refuse_another_commit(loaded, {"model": {"name": "acme/tiny", "revision": "b" * 40}})
    refuse_another_commit(loaded, {"model": {"name": "acme/tiny", "revision": None}})
    with pytest.raises(Drift, match="acme/tiny is at commit bbbbbbbbbbbb, this run began with aaaaaaaaaaaa"):
        refuse_another_commit(loaded, {"model": {"name": "acme/tiny", "revision": "a" * 40}})
