"""Small real runs for tests: a spec in a folder, run in this process, with somebody listening."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.graph import Graph
from prerl_spec.compiler.past_runs.run_folder import choose_run_folder, hold_run_folder
from prerl_spec.engine.record.run_inputs import write_given
from prerl_spec.engine.run.run import run

SPEC = """
spec = 1
run = { name = "small", seed = 3, output_dir = "runs" }
checkpoint = { every = 2, keep = 2 }
verifier = "exact_match"
optimizer = { use = "adamw", lr = 1e-3, weight_decay = 0.1 }

[model]
use = "from_scratch"
tokenizer = "data:corpus"

[model.config]
model_type = "qwen3"
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
num_key_value_heads = 1
head_dim = 16
intermediate_size = 64
max_position_embeddings = 64
tie_word_embeddings = true

[data]
corpus = { use = "arithmetic_chains", part = "corpus", steps = [1, 1] }
train = { use = "arithmetic_chains", part = "easy", steps = [1, 1] }

[sampler]
use = "transformers"
group_size = 4
max_new_tokens = 12

[[phases]]
id = "pretrain"
data = "corpus"
documents_per_step = 8
objective = "next_token"
schedule = { use = "fixed_steps", steps = 3 }

[[phases]]
id = "prune"
prompts_per_step = 4
objective = { use = "marginal_nsr", advantage = "minus_one" }
schedule = { use = "reincarnate_after", steps = 3 }

[[phases]]
id = "refine"
prompts_per_step = 4
updates_per_batch = 2
objective = { use = "marginal_pg", advantage = "minus_one" }
schedule = { use = "fixed_steps", steps = 2 }
"""
"""Of `easy`, which has 512 rows: a run reads all of them before it begins, and 8,192 take half as long as all its steps.
Judged by `exact_match`: `math_verify` imports sympy in a worker of every run, .6 s of CPU."""


class Heard:
    """A listener that keeps every event, and calls back on each."""

    def __init__(self, on_event: Callable[[Mapping[str, Any]], None] = lambda event: None) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.ticks: list[tuple[str, int, int]] = []
        self._on_event = on_event

    def begin(self, graph: Graph) -> None: ...

    def event(self, event: Mapping[str, Any]) -> None:
        self.events.append(event)
        self._on_event(event)

    def tick(self, stage: str, done: int, total: int) -> None:
        self.ticks.append((stage, done, total))

    def end(self, message: str) -> None: ...
    def close(self) -> None: ...


def start(folder: Path, text: str = SPEC, listener: Heard | None = None) -> Path:
    """Writes the spec and runs it, or goes on with it; gives the run folder."""
    folder.mkdir(exist_ok=True)
    file = folder / "spec.toml"
    file.write_text(text)
    graph = compile_spec(file).graph

    taken, _ = choose_run_folder(folder / "runs", graph.run.name, graph.digest)
    with hold_run_folder(taken):
        write_given(taken, graph)
        return run(graph, taken, listener or Heard())


def steps_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [e for e in map(json.loads, lines) if e["event"] == "step"]


def weights_at(folder: Path, global_step: int) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints" / f"step-{global_step:06d}" / "model.safetensors")
