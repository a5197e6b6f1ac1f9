"""A run of prerl-spec, paused after every step: `python ours.py CONFIG.json`.

The whole product: sampling, journal, verdicts, rewards, metrics, training, events. A step's stages are those of its event,
in CPU seconds; verifier workers are other processes, and not counted.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from turns import Turns

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.engine.run import phase_runner
from prerl_spec.engine.run.run import run

SPEC = """
spec = 1
run = {{ name = "side", output_dir = "{output}" }}
checkpoint = {{ every = 1000000 }}
verifier = "exact_match"
rewards = ["bench.alternating"]
optimizer = {{ {optimizer}, lr = 1e-9, max_grad_norm = 1e6 }}
sampler = {{ use = "transformers", group_size = {group}, max_new_tokens = {response} }}
[model]
use = "hf_causal"
name = "{model}"
[data]
train = {{ use = "jsonl", path = "{rows}" }}
[[phases]]
id = "side"
prompts_per_step = {prompts}
objective = {objective}
schedule = {{ use = "fixed_steps", steps = {steps} }}
{probes}
"""
OBJECTIVES = {"grpo": '{ use = "grpo", aggregation = "token_mean" }', "marginal_nsr": '"marginal_nsr"'}


class Paused:
    """A listener that reports every step and waits to be asked for the next one."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def begin(self, graph: Any) -> None: ...
    def tick(self, stage: str, done: int, total: int) -> None: ...
    def end(self, message: str) -> None: ...
    def close(self) -> None: ...

    def event(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "step":
            signal = event["metrics"]["groups_with_signal"]
            self._turns.report(tokens=event["tokens"], loss=event["metrics"]["loss"], signal=signal)
            self._turns.wait()


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    turns = Turns()
    clock = phase_runner.Clock

    class CpuClock(clock):  # type: ignore[misc, valid-type]
        @contextmanager
        def __call__(self, stage: str) -> Iterator[None]:
            with turns.stage(stage), super().__call__(stage):
                yield

    phase_runner.Clock = CpuClock
    parity = config.get("parity")
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "spec.toml"
        written = {
            "optimizer": f'use = "bench.adamw", path = "{parity}/gradient.pt"' if parity else 'use = "adamw"',
            "probes": f'[[phases.probes]]\nuse = "bench.tokens"\npath = "{parity}/tokens.json"' if parity else "",
            "steps": 1 if parity else 100_000,
            "objective": OBJECTIVES[config["objective"]],
        }
        spec.write_text(SPEC.format(output=folder, **config["workload"], **written))
        place = Path(folder) / "run"
        place.mkdir()
        turns.wait()
        run(compile_spec(spec).graph, place, Paused(turns))


if __name__ == "__main__":
    main()
