"""The plan's memory estimate compared with the peak of real runs on a CPU: python benchmarks/memory.py [NAME ...].

Each size runs in its own process. Prints planned and measured resident MiB of every phase, in total and without the memory
used by imported libraries.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from prerl_spec.engine.processes.peak_memory import peak_bytes, reset_peak, resident_bytes

SPEC = """
spec = 1
run = {{ name = "memory" }}
checkpoint = {{ every = 1000 }}
verifier = "exact_match"
optimizer = {{ use = "adamw", lr = 1e-4 }}
sampler = {{ use = "transformers", group_size = 8, max_new_tokens = 110 }}
[model]
use = "from_scratch"
tokenizer = "data:corpus"
[model.config]
model_type = "qwen3"
hidden_size = {hidden}
num_hidden_layers = {layers}
num_attention_heads = {heads}
num_key_value_heads = {kv}
head_dim = {head}
intermediate_size = {inner}
max_position_embeddings = 256
tie_word_embeddings = true
[data]
corpus = {{ use = "arithmetic_chains", part = "corpus" }}
train = {{ use = "arithmetic_chains" }}
[[phases]]
id = "pretrain"
data = "corpus"
documents_per_step = 32
objective = "next_token"
schedule = {{ use = "fixed_steps", steps = 4 }}
[[phases]]
id = "prune"
prompts_per_step = 4
objective = {{ use = "marginal_pg", advantage = "minus_one" }}
schedule = {{ use = "fixed_steps", steps = 3 }}
"""
SIZES = {
    "0.3M": {"hidden": 96, "layers": 3, "heads": 3, "kv": 1, "head": 32, "inner": 256},
    "25M": {"hidden": 512, "layers": 8, "heads": 8, "kv": 4, "head": 64, "inner": 1536},
    "50M": {"hidden": 768, "layers": 8, "heads": 12, "kv": 4, "head": 64, "inner": 2048},
}
MIB = 2**20
CPU = torch.device("cpu")


class PeakOfPhases:
    """A listener that records the process's peak resident size in each phase."""

    def __init__(self) -> None:
        self.peak: dict[str, int] = {}

    def begin(self, graph: Any) -> None: ...
    def tick(self, stage: str, done: int, total: int) -> None: ...
    def end(self, message: str) -> None: ...
    def close(self) -> None: ...

    def event(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "step":
            self.peak[event["phase"]] = max(peak_bytes(CPU), self.peak.get(event["phase"], 0))
        if event["event"] == "phase":
            reset_peak(CPU)


def measure(name: str) -> None:
    """Runs one size in this process and prints one line per phase."""
    import accelerate  # noqa: F401
    import transformers.models.qwen3.modeling_qwen3  # noqa: F401

    from prerl_spec.compiler.compile import compile_spec
    from prerl_spec.engine.run.run import run

    with TemporaryDirectory() as folder:
        file = Path(folder) / "spec.toml"
        file.write_text(SPEC.format(**SIZES[name]))
        compiled = compile_spec(file)
        imported = resident_bytes()
        peaks = PeakOfPhases()
        run(compiled.graph, Path(folder), peaks)
    for phase in compiled.plan.phases:
        assert phase.cost is not None
        planned, measured = sum(phase.cost.memory_bytes.values()), peaks.peak[phase.id]
        print(
            f"{name:>6} {phase.id:<9} planned {planned / MIB:7.0f}  measured {measured / MIB:7.0f}  "
            f"({planned / measured - 1:+.0%});  excluding imports {(planned - imported) / MIB:7.0f} "
            f"and {(measured - imported) / MIB:7.0f} ({(planned - imported) / (measured - imported) - 1:+.0%})",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        measure(sys.argv[2])
    else:
        for size in sys.argv[1:] or SIZES:
            subprocess.run([sys.executable, __file__, "--here", size], check=True)
