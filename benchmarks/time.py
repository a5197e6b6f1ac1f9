"""The plan's time estimate after a calibration compared with the time of the whole run, one process each on a CPU:

    OMP_NUM_THREADS=1 python benchmarks/time.py [NAME ...] [--steps 25] [--check]

For each size a spec is calibrated (`run --profile`), planned, and run to its end. Compares the steps of each phase, and the
total from the first step to the end, with evaluation and checkpoints but without loading. The workload is stationary: the
learning rate is too small to change response lengths. `--check` exits with 1 if a total is more than 25 % off. Takes about
15 minutes for both sizes on an idle core.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from memory import SIZES

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.past_runs.measured_times import measured, phase_seconds, whole_seconds

SPEC = """
spec = 1
run = {{ name = "time", output_dir = "{folder}" }}
verifier = "exact_match"
optimizer = {{ use = "adamw", lr = 1e-7 }}
sampler = {{ use = "transformers", group_size = 8, max_new_tokens = 64 }}
evaluate = [{{ use = "holdout", data = "heldout", samples = 2, limit = 64, at = ["base", "end"] }}]
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
heldout = {{ use = "arithmetic_chains", part = "easy" }}
[[phases]]
id = "pretrain"
data = "corpus"
documents_per_step = 32
objective = "next_token"
schedule = {{ use = "fixed_steps", steps = {steps} }}
[[phases]]
id = "prune"
prompts_per_step = 4
objective = {{ use = "marginal_pg", advantage = "minus_one" }}
schedule = {{ use = "fixed_steps", steps = {steps} }}
[[phases]]
id = "refine"
prompts_per_step = 4
objective = "grpo"
schedule = {{ use = "fixed_steps", steps = {steps} }}
"""
COMPARED = ("0.3M", "25M")
ALLOWED = 0.25


def compare(name: str, steps: int) -> float:
    """Prints one line per phase and one for the total; returns the total's relative error."""
    with TemporaryDirectory() as folder:
        spec = Path(folder) / "spec.toml"
        spec.write_text(SPEC.format(**SIZES[name], steps=steps, folder=folder))
        prerl_spec("run", str(spec), "--profile")
        plan = compile_spec(spec).plan
        found = measured(plan)
        whole = None if found is None else whole_seconds(plan, found)
        assert found is not None, "the plan found no calibration"
        assert whole is not None, "a phase has no known number of steps"
        planned = {p.id: phase_seconds(p.id, steps, found) or 0.0 for p in plan.phases}
        prerl_spec("run", str(spec))
        events = [json.loads(line) for line in (Path(folder) / "time" / "events.jsonl").read_text().splitlines()]
    for phase, seconds in planned.items():
        show(name, phase, seconds, sum(e["seconds"]["total"] for e in events if of_phase(e, phase)))
    rounds = [e["seconds"] for e in events if e["event"] == "evaluate"]
    show(name, "evaluate", found.evaluation[0] * len(rounds), sum(rounds))
    return show(name, "whole", whole, events[-1]["time"] - (events[0]["time"] - rounds[0]))


def of_phase(event: dict[str, Any], phase: str) -> bool:
    return bool(event["event"] == "step" and event["phase"] == phase)


def show(name: str, part: str, planned: float, actual: float) -> float:
    off = planned / actual - 1
    print(f"{name:>6} {part:<9} planned {planned:8.1f} s  measured {actual:8.1f} s  ({off:+.0%})", flush=True)
    return off


def prerl_spec(*arguments: str) -> None:
    """Runs a command in a subprocess; if it fails, exits with its stderr."""
    done = subprocess.run([sys.executable, "-m", "prerl_spec", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sizes", nargs="*", metavar="NAME", help=f"of {', '.join(SIZES)}; default: {' '.join(COMPARED)}"
    )
    parser.add_argument("--steps", type=int, default=25, help="steps of each phase")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    off = [abs(compare(name, arguments.steps)) for name in arguments.sizes or COMPARED]
    return int(arguments.check and max(off) > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
