"""`prerl-spec serve` on a small model, started and ended as a user would."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from prerl_spec.sdk import LoadedModel

SPEC = """
spec = 1
run = {{ name = "served", seed = 3, output_dir = "runs" }}
checkpoint = {{ every = 2, keep = 2 }}
model = {{ use = "hf_causal", name = "{model}", dtype = "{dtype}" }}
data.train = {{ use = "arithmetic_chains", steps = [1, 1] }}
sampler = {{ use = "vllm_server", urls = ["{url}"], group_size = 4, max_new_tokens = 12 }}
verifier = "exact_match"
optimizer = {{ use = "adamw", lr = 1e-3 }}
[[phases]]
id = "refine"
prompts_per_step = 4
objective = {{ use = "marginal_pg", advantage = "minus_one" }}
schedule = {{ use = "fixed_steps", steps = 8 }}
"""


class Served:
    """A server of `model` in its compute dtype; `spec` is the file of a run against it, `url` its address."""

    def __init__(self, folder: Path, model: LoadedModel) -> None:
        module: Any = model.module
        module.save_pretrained(folder / "model")
        model.tokenizer.save_pretrained(folder / "model")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.spec = folder / "spec.toml"
        dtype = str(model.compute_dtype).removeprefix("torch.")
        self.spec.write_text(SPEC.format(model=folder / "model", dtype=dtype, url=self.url))
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "prerl_spec", "serve", str(self.spec)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said.startswith(f"ready: {self.url}"), said

    def kill_server(self) -> int:
        """SIGKILL to the server's own process; the exit code of `serve`, which ends when its server does."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        return self._process.wait(60)

    def end(self) -> int:
        assert self._process is not None
        if self._process.poll() is not None:
            return self._process.returncode
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)
