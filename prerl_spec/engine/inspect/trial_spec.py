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

PLACES: Mapping[str, str] = {
    "objective": "phases[1].objective",
    **{part: f"phases[1].objective.{part}" for part in ("advantage", "surrogate", "correction")},
    "selection": "phases[1].objective.selection[0]",
    "ramp": "phases[1].objective.coefficient",
    **{kind: f"phases[1].{kind}" for kind in ("verifier", "optimizer")},
    **{kind: f"phases[1].{kind}s[0]" for kind in ("reward", "filter", "probe")},
}
"""Kind -> path of the component in the spec."""

UNTRAINED: Mapping[str, tuple[str, str]] = {
    "model": ("model = $it", "model"),
    "adapter": ('model = { use = "hf_causal", name = "any", adapter = $it }', "model.adapter"),
    "data": ("data.any = $it", "data.any"),
    "sampler": ("sampler = $it", "sampler"),
    "view": ('phases = [{ objective = { use = "policy_gradient", view = $it } }]', "phases[0].objective.view"),
    "schedule": ("phases = [{ schedule = $it }]", "phases[0].schedule"),
    "evaluator": ("evaluate = [$it]", "evaluate[0]"),
    "tracker": ("trackers = [$it]", "trackers[0]"),
}
"""The other kinds -> a line that uses a component, in a spec that is only checked, and the path of the component."""

BESIDE: Mapping[str, str] = {
    **dict.fromkeys(("advantage", "selection", "surrogate", "ramp"), PRODUCT),
    "correction": '{ use = "policy_gradient", advantage = "group_std", correction = "truncate" }',
}
"""Kind -> the objective beside which the batch is shown, GRPO for the others."""


def trial_spec(file: Path, kind: str, use: str, settings: Mapping[str, Any], *, seed: int) -> tuple[str, str]:
    """The spec text that uses the component `use` of `file`, and the path of the component in it:
    `trial_spec(Path("mine.py"), "objective", "local.mine", {"beta": 0.1}, seed=0)`.

    For a kind that is not in SERVING the spec has nothing but the component.
    """
    it = "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in {"use": use, **settings}.items()) + " }"
    if kind not in SERVING:
        line, place = UNTRAINED[kind]
        return (
            f"spec = 1\nplugins.files = [{json.dumps(str(file.absolute()))}]\n{Template(line).substitute(it=it)}\n",
            place,
        )
    template = Template(TEMPLATE.read_text(encoding="utf-8"))
    serving = Template(SERVING[kind]).substitute(it=it)
    text = template.substitute(
        file=json.dumps(str(file.absolute())), serving=serving, seed=seed, beside=BESIDE.get(kind, GRPO)
    )
    return text, PLACES[kind]
