"""The spec that `prerl-spec try` runs: trial.toml with one component of a Python file filled in. No torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

TEMPLATE = Path(__file__).with_name("trial.toml")

GRPO = '{ use = "grpo", aggregation = "token_mean" }'
PRODUCT = '{ use = "policy_gradient", advantage = "group_std" }'

SERVING: Mapping[str, str] = {
    "objective": "objective = $it",
    "advantage": 'objective = { use = "policy_gradient", advantage = $it }',
    "selection": 'objective = { use = "policy_gradient", advantage = "group_std", selection = [$it] }',
    "surrogate": 'objective = { use = "policy_gradient", advantage = "group_std", surrogate = $it }',
    "correction": 'objective = { use = "policy_gradient", advantage = "group_std", correction = $it }',
    "ramp": 'objective = { use = "policy_gradient", advantage = "group_std", coefficient = $it }',
    "verifier": f"objective = {GRPO}\nverifier = $it",
    "reward": f"objective = {GRPO}\nrewards = [$it]",
    "filter": f"objective = {GRPO}\nfilters = [$it]",
    "probe": f"objective = {GRPO}\nprobes = [$it]",
    "optimizer": f"objective = {GRPO}\noptimizer = $it",
}
"""Kind -> the lines of the trained phase that use a component of it; other kinds cannot be tried by training."""

BESIDE: Mapping[str, str] = {
    **dict.fromkeys(("advantage", "selection", "surrogate", "ramp"), PRODUCT),
    "correction": '{ use = "policy_gradient", advantage = "group_std", correction = "truncate" }',
}
"""Kind -> the objective beside which the batch is shown, GRPO for the others."""


def trial_spec(file: Path, kind: str, use: str, settings: Mapping[str, Any], *, seed: int) -> str:
    """The spec text that uses the component `use` of `file`: `trial_spec(Path("mine.py"), "objective",
    "local.mine", {"beta": 0.1}, seed=0)`. `kind` is one of SERVING."""
    it = ", ".join(f"{key} = {json.dumps(value)}" for key, value in {"use": use, **settings}.items())
    serving = Template(SERVING[kind]).substitute(it=f"{{ {it} }}")
    template = Template(TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(
        file=json.dumps(str(file.absolute())), serving=serving, seed=seed, beside=BESIDE.get(kind, GRPO)
    )
