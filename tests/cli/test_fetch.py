"""`fetch` against a hub on this machine: what it brings is enough to run without one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.testing.tiny import save_tiny
from tests.cli.fake_hub import COMMIT, hub
from tests.compiler.specs import written

SPEC = """
spec = 1
run = { name = "fetched", output_dir = "runs" }
model = { use = "hf_causal", name = "acme/tiny" }
data.train = { use = "hf_dataset", path = "acme/rows", chat = "off" }
sampler = { use = "transformers", group_size = 2, max_new_tokens = 2 }
verifier = "exact_match"
optimizer = { use = "adamw", lr = 1e-5 }

[[evaluate]]
use = "lm_eval"
tasks = ["aime24_boxed"]
limit = 1
chat = "off"
at = ["base"]

[[phases]]
id = "prune"
prompts_per_step = 2
objective = { use = "marginal_nsr", prefix = "Q" }
schedule = { use = "reincarnate_after", steps = 1 }
"""
ROWS = "".join(json.dumps({"question": f"{n}+1?", "answer": str(n + 1)}) + "\n" for n in range(4))
PROBLEMS = "".join(json.dumps({"problem": f"{n}+2?", "answer": n + 2}) + "\n" for n in range(3))


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("hub")
    model = save_tiny(folder / "tiny")
    (model / "pytorch_model.bin").write_bytes(b"a pickle that nobody loads")
    for name, text in (("rows", ROWS), ("aime", PROBLEMS)):
        (folder / name).mkdir()
        (folder / name / "train.jsonl").write_text(text)
    return {
        "models/acme/tiny": model,
        "datasets/acme/rows": folder / "rows",
        "datasets/HuggingFaceH4/aime_2024": folder / "aime",
    }


def prerl(folder: Path, endpoint: str, *arguments: object, offline: bool = False) -> subprocess.CompletedProcess[str]:
    """The command with a cache of its own. The hub's client reads its environment when it is imported."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "1" if offline else "0",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "no_proxy": "127.0.0.1",
    }
    command = [sys.executable, "-m", "prerl_spec", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=folder, timeout=120
    )
    assert "Traceback" not in done.stderr
    return done


def test_what_was_fetched_is_enough_to_run_without_a_network(tmp_path: Path, repositories: dict[str, Path]) -> None:
    spec = written(tmp_path, SPEC)
    with hub(repositories) as endpoint:
        locked = prerl(tmp_path, endpoint, "lock", spec)
        assert (locked.returncode, locked.stderr) == (0, "")
        fetched = prerl(tmp_path, endpoint, "fetch", spec)
    assert fetched.returncode == 0, fetched.stderr
    lock = json.loads((tmp_path / "spec.toml.lock").read_text())
    assert set(lock["revisions"].values()) == {COMMIT}
    assert f"model acme/tiny@{COMMIT}" in fetched.stdout
    assert "data.train: 4 rows" in fetched.stdout
    assert "aime24_boxed: 3 questions" in fetched.stdout
    assert not list((tmp_path / "hf").rglob("pytorch_model.bin"))
    ran = prerl(tmp_path, endpoint, "run", "--locked", spec, offline=True)
    assert ran.returncode == 0, ran.stderr
    plan = json.loads((tmp_path / "runs" / "fetched" / "plan.json").read_text())
    assert plan["model"]["settings"]["revision"] == COMMIT


def test_a_plan_fetches_configuration_and_tokenizer_alone(tmp_path: Path, repositories: dict[str, Path]) -> None:
    spec = written(tmp_path, SPEC)
    with hub(repositories) as endpoint:
        fetched = prerl(tmp_path, endpoint, "plan", spec, "--fetch-config")
    assert fetched.returncode == 0, fetched.stderr
    assert "model acme/tiny@main: " in fetched.stderr
    assert "parameters unknown" not in fetched.stdout
    assert "its configuration is in the local hub cache: a run downloads the weights" in " ".join(
        fetched.stdout.split()
    )
    assert not list((tmp_path / "hf").rglob("*.safetensors"))
    assert list((tmp_path / "hf").rglob("tokenizer.json"))


def test_a_hub_that_does_not_answer_is_a_clear_error(tmp_path: Path) -> None:
    done = prerl(tmp_path, "http://127.0.0.1:9", "fetch", written(tmp_path, SPEC))
    assert done.returncode == 3
    assert "model acme/tiny@main cannot be fetched: the hub cannot be reached" in done.stderr
    assert "= help: " in done.stderr


def test_a_name_that_the_hub_does_not_have_is_a_clear_error(tmp_path: Path, repositories: dict[str, Path]) -> None:
    with hub({k: v for k, v in repositories.items() if k != "models/acme/tiny"}) as endpoint:
        done = prerl(tmp_path, endpoint, "fetch", written(tmp_path, SPEC))
    assert done.returncode == 3
    assert "model acme/tiny@main cannot be fetched: the hub returns status 404" in done.stderr


def test_a_benchmark_that_has_moved_since_the_lock_is_drift(tmp_path: Path, repositories: dict[str, Path]) -> None:
    spec = written(tmp_path, SPEC)
    with hub(repositories) as endpoint:
        assert prerl(tmp_path, endpoint, "lock", spec).returncode == 0
        file = tmp_path / "spec.toml.lock"
        lock = json.loads(file.read_text())
        lock["revisions"]["dataset HuggingFaceH4/aime_2024@main"] = "d" * 40
        file.write_text(json.dumps(lock))
        done = prerl(tmp_path, endpoint, "fetch", spec)
    assert done.returncode == 4
    assert (
        "dataset HuggingFaceH4/aime_2024@main is locked at dddddddddddd, but a run would read the hub's current cccccccccccc"
        in done.stderr
    )


def test_a_spec_that_needs_nothing_fetches_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", str(Path(__file__).parents[2] / "specs" / "smoke.toml")]) == 0
    assert "needs nothing from the hub" in capsys.readouterr().out
