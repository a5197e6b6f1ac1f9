"""Runs of two phases, and what they share with a run that begins at the end of the first."""

import json
from pathlib import Path
from typing import Any

from tests.engine.runs import SPEC, steps_of

HEAD = SPEC[: SPEC.index("[[phases]]")]
FIRST = """
[[phases]]
id = "pretrain"
data = "corpus"
documents_per_step = 4
objective = "next_token"
schedule = {{ use = "fixed_steps", steps = {steps}{more} }}
"""
SECOND = """
[[phases]]
id = "refine"
prompts_per_step = 2
updates_per_batch = 2
objective = { use = "weighted_sum", terms = [{ use = "marginal_nsr", advantage = "minus_one" }, "kl"] }
schedule = { use = "fixed_steps", steps = 2 }
"""
CARRIED = ', reference = "keep", lr_schedule = "carry"'


def whole(more: str = CARRIED, *, steps: int = 3, head: str = HEAD, second: str = SECOND) -> str:
    """Both phases, the second on what the first leaves to it."""
    decaying = head.replace("weight_decay = 0.1", 'weight_decay = 0.1, lr_schedule = "linear"')
    return decaying + FIRST.format(steps=steps, more=more) + second


def started(text: str, origin: object) -> str:
    """The same spec without its first phase, begun from a phase or a checkpoint of another run."""
    head, _, second = text.split("[[phases]]", 2)
    return f'{head}[start]\nfrom = "{origin}"\n[[phases]]{second}'


def result(run: Path, *, since: int = 3) -> dict[str, Any]:
    """Weights, moments and reference of the newest checkpoint, the position, and every step after `since`, without times."""
    newest = max((run / "checkpoints").glob("step-*"))
    state = json.loads((newest / "trainer" / "state.json").read_text())
    steps = [
        {key: value for key, value in e.items() if key not in ("time", "seconds", "check", "chain")}
        for e in steps_of(run)
    ]
    return {
        "tensors": {str(f.relative_to(newest)): f.read_bytes() for f in sorted(newest.rglob("*.safetensors"))},
        "position": {key: value for key, value in state.items() if key not in ("events", "phase")},
        "steps": [step for step in steps if step["global_step"] > since],
    }
