"""A canary given as `${secret:CANARY}` is searched for in every byte that commands write over a real run, and in every
command line of their processes."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

CANARY = "canary-5f1d20c7-value"

TRACKER = '''
import os
from typing import Annotated
from accelerate.tracking import TensorBoardTracker
from pydantic import Field
from prerl_spec.sdk import Component, Secret

class Keyed(Component):
    """Step metrics, with a key as a service would want one."""

    kind = "tracker"
    key: Annotated[str, Secret()] = Field(description="The service's key.")
    fails: bool = Field(default=False, description="Whether the service refuses the key.")

    def accelerate_tracker(self, run_name, folder):
        key = os.environ[self.key.removeprefix("${secret:").removesuffix("}")]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "opened").write_text(str(len(key)))
        if self.fails:
            raise RuntimeError(f"401: the key {key} is not known")
        return TensorBoardTracker(run_name, logging_dir=str(folder))
'''

SPEC = """spec = 1
run = { name = "keyed", output_dir = "runs" }
plugins.files = ["keyed.py"]
model = { use = "from_scratch", tokenizer = "data:train", config = { model_type = "qwen3", hidden_size = 32, \
num_hidden_layers = 1, num_attention_heads = 1, num_key_value_heads = 1, head_dim = 32, intermediate_size = 32 } }
data.train = "arithmetic_chains"
sampler = { use = "transformers", group_size = 2, max_new_tokens = 4 }
verifier = "exact_match"
optimizer = { use = "adamw", lr = 1e-3 }
trackers = [{ use = "local.keyed", key = "${secret:CANARY}" }]
[[evaluate]]
use = "lm_eval"
tasks = ["arithmetic_chains_easy"]
limit = 2
[[phases]]
id = "only"
prompts_per_step = 2
objective = "grpo"
schedule = { use = "fixed_steps", steps = 1 }
"""


class Watched:
    """Runs commands in a folder; `told` is all they printed, `lines` every command line seen below them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.told, self.lines = folder, b"", set[bytes]()
        path = os.pathsep.join(p for p in sys.path if p)
        self._environment = {**os.environ, "CANARY": CANARY, "PYTHONPATH": path, "TMPDIR": str(folder / "tmp")}
        (folder / "tmp").mkdir()

    def call(self, *words: str, code: int = 0) -> None:
        line = [sys.executable, "-P", "-m", "prerl_spec", *words]
        process = subprocess.Popen(
            line, cwd=self.folder, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(process.pid, over))
        watch.start()
        told, _ = process.communicate(timeout=300)
        over.set()
        watch.join()
        self.told += told
        assert process.returncode == code, told.decode()

    def _watch(self, root: int, over: threading.Event) -> None:
        family = {root}
        while not over.wait(0.02):
            for entry in Path("/proc").iterdir():
                try:
                    if entry.name.isdecimal() and family & {
                        int(entry.name),
                        int((entry / "stat").read_text().rpartition(")")[2].split()[1]),
                    }:
                        family.add(int(entry.name))
                        self.lines.add((entry / "cmdline").read_bytes())
                except OSError:
                    continue

    def written(self) -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in self.folder.rglob("*") if file.is_file()}


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    (tmp_path / "spec.toml").write_text(SPEC)
    (tmp_path / "keyed.py").write_text(TRACKER)
    return Watched(tmp_path)


def found_in(watched: Watched) -> list[str]:
    """Where the canary is, in plain text or reversed into JSON escapes, base64 or hex."""
    import base64

    forms = [CANARY.encode(), CANARY.encode().hex().encode(), base64.b64encode(CANARY.encode())[:-4]]
    places = {"what was printed": watched.told, **{repr(line): line for line in watched.lines}, **watched.written()}
    return [place for place, content in places.items() if any(form in content for form in forms)]


@pytest.mark.slow
def test_a_secret_is_in_no_byte_that_any_command_writes(watched: Watched) -> None:
    run = "runs/keyed"
    watched.call("plan", "spec.toml", "--local-code", "--out", "plan.json")
    watched.call("lock", "spec.toml", "--local-code")
    watched.call("run", "spec.toml", "--local-code", "--processes", "2")
    (opened,) = (watched.folder / run).rglob("opened")
    assert opened.read_text() == str(len(CANARY))
    watched.call("resume", run, "--local-code")
    for words in (
        ["report", run],
        ["samples", run],
        ["fsck", run],
        ["show", "spec.toml", "--resolved", "--local-code"],
        ["show", "spec.toml", "--origins", "--local-code"],
        ["diff", "spec.toml", run, "--local-code"],
        ["eval", run, "--tasks", "arithmetic_chains_easy", "--limit", "2", "--local-code"],
        ["doctor"],
        ["fetch", "spec.toml", "--local-code"],
        ["validate", "spec.toml", "--local-code", "--format", "json"],
    ):
        watched.call(*words)
    assert len(watched.lines) > len(["a", "rank", "each,", "and", "verifier", "workers"])
    assert found_in(watched) == []


@pytest.mark.slow
def test_an_authors_error_that_holds_a_secret_prints_asterisks(watched: Watched) -> None:
    refused = 'trackers=[{ use = "local.keyed", key = "${secret:CANARY}", fails = true }]'
    for options in ([], ["--processes", "2"]):
        watched.call("--traceback", "run", "spec.toml", "--local-code", "--new", "--set", refused, *options, code=5)
    assert b"401: the key *********************" in watched.told
    assert found_in(watched) == []


@pytest.mark.slow
def test_the_search_finds_a_canary(watched: Watched) -> None:
    """The test's own net: a secret printed, written or passed on would be seen."""
    watched.call("validate", "spec.toml", "--local-code", "--set", f"run.name={CANARY}")
    (watched.folder / "leak").write_text(CANARY)
    assert len(found_in(watched)) == 2
