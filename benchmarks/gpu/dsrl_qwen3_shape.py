"""DSRL with a model of Qwen3-0.6B's shape, from random weights, on arithmetic chains: memory, time, tokens per second, and
the gap between sampler and trainer in bfloat16.

    python benchmarks/gpu/dsrl_qwen3_shape.py [--sampler transformers|vllm] [--steps 10]
    python benchmarks/gpu/dsrl_qwen3_shape.py --tiny --cpu

Runs the public command `run` in this process, so that the device's memory statistics can be read. Written for one GPU and
not run on one yet; `--tiny --cpu` runs the same script with a model of two layers.
"""

import argparse
import json
import resource
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import torch
from building import add_trial, device_of
from facts import machine, show
from shapes import SHAPES, TINY

from prerl_spec.cli.main import main as prerl_spec

SPEC = """
spec = 1
run = {{ name = "shape", output_dir = "{folder}" }}
checkpoint = {{ every = {every} }}
verifier = "exact_match"
optimizer = {{ use = "adamw", lr = 1e-4 }}
sampler = {{ use = "{sampler}", group_size = {group}, max_new_tokens = {response} }}

[model]
use = "from_scratch"
tokenizer = "data:corpus"
dtype = "{dtype}"
[model.config]
model_type = "qwen3"
tie_word_embeddings = true
max_position_embeddings = 2048
{config}

[data]
corpus = {{ use = "arithmetic_chains", part = "corpus" }}
train = {{ use = "arithmetic_chains" }}

[[phases]]
id = "pretrain"
data = "corpus"
documents_per_step = {documents}
objective = "next_token"
schedule = {{ use = "fixed_steps", steps = {pretrain} }}

[[phases]]
id = "prune"
prompts_per_step = {prompts}
objective = "marginal_nsr"
schedule = {{ use = "reincarnate_after", steps = {steps} }}

[[phases]]
id = "refine"
prompts_per_step = {prompts}
objective = "grpo"
schedule = {{ use = "fixed_steps", steps = {steps} }}
"""

HEADER = (
    "phase", "step s", "sample s", "train s", "sampled tok/s", "trained tok/s", "gap mean", "gap max", "reward", "peak GiB",
)  # fmt: skip


def settings_of(*, tiny: bool, sampler: str = "transformers") -> dict[str, Any]:
    """What SPEC is filled in with, `folder` apart."""
    shape = {
        "model": TINY if tiny else SHAPES["0.6B"],
        "dtype": "bfloat16",
        "sampler": sampler,
        "group": 8,
        "every": 1000,
    }
    if tiny:
        return shape | {"documents": 8, "prompts": 2, "response": 16, "pretrain": 2, "steps": 2}
    return shape | {"documents": 256, "prompts": 64, "response": 110, "pretrain": 300, "steps": 10}


def written(folder: str, settings: dict[str, Any]) -> Path:
    """The spec, in a file of the folder that its run lies in as well."""
    config = "\n".join(f"{key} = {value}" for key, value in settings["model"].items())
    file = Path(folder) / "shape.toml"
    file.write_text(SPEC.format(folder=folder, config=config, **settings), encoding="utf-8")
    return file


def events_of(arguments: argparse.Namespace, settings: dict[str, Any]) -> tuple[list[dict[str, Any]], float]:
    """Every step's event, and the peak memory of the process (on a GPU: of the device), in GiB."""
    with tempfile.TemporaryDirectory() as folder:
        code = prerl_spec(["run", str(written(folder, settings))])
        if code != 0:
            raise SystemExit(code)
        lines = (Path(folder) / "shape" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [event for event in map(json.loads, lines) if event["event"] == "step"]
    if not arguments.cpu:
        return steps, torch.cuda.max_memory_reserved() / 2**30
    return steps, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def row(phase: str, steps: list[dict[str, Any]], peak: float) -> tuple[object, ...]:
    """A phase's measurements: medians over its steps without the first, which includes one-time costs."""
    steps = steps[1:] or steps

    def seconds(stage: str) -> float:
        return float(median(step["seconds"][stage] for step in steps))

    def rate(tokens: str, stage: str) -> float | None:
        rates = [
            s["tokens"][tokens] / s["seconds"][stage] for s in steps if s["seconds"][stage] and s["tokens"][tokens]
        ]
        return median(rates) if rates else None

    gaps = [step["metrics"]["sampler_gap"] for step in steps if "sampler_gap" in step["metrics"]]
    rewards = [step["metrics"]["reward_mean"] for step in steps if "reward_mean" in step["metrics"]]
    return (
        phase,
        seconds("total"),
        seconds("sample"),
        seconds("train"),
        rate("generated", "sample"),
        rate("trained", "train"),
        sum(gaps) / len(gaps) if gaps else None,
        max(gaps, default=None),
        sum(rewards) / len(rewards) if rewards else None,
        peak,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_trial(parser)
    parser.add_argument("--sampler", choices=["transformers", "vllm"], default="transformers")
    parser.add_argument("--steps", type=int, default=10, help="steps of `prune` and of `refine`")
    parser.add_argument("--pretrain", type=int, default=300, help="steps of pre-training")
    arguments = parser.parse_args()
    device = device_of(parser, arguments)
    settings = settings_of(tiny=arguments.tiny, sampler=arguments.sampler)
    if not arguments.tiny:
        settings |= {"pretrain": arguments.pretrain, "steps": arguments.steps}
    steps, peak = events_of(arguments, settings)
    facts = {**machine(device), "settings": settings}
    phases = dict.fromkeys(step["phase"] for step in steps)
    show(facts, HEADER, [row(phase, [s for s in steps if s["phase"] == phase], peak) for phase in phases])


if __name__ == "__main__":
    main()
