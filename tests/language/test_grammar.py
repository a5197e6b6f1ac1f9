"""The grammar's table, setting by setting: each refuses what its type, bounds and choices exclude, at the value."""

from pathlib import Path

import pytest

from tests.language.grammar import COMPONENTS, REFUSED, REQUIRED
from tests.language.marked import Marked, check

PLACES = {
    "model": 'model = { use = "hf_causal", name = "m" }',
    "data": 'data.train = { use = "jsonl", path = "rows.jsonl" }',
    "sampler": 'sampler = { use = "transformers", group_size = 4 }',
    "verifier": 'verifier = "math_verify"',
    "optimizer": 'optimizer = { use = "adamw", lr = 1e-6 }',
    "objective": 'objective = "grpo"',
    "schedule": 'schedule = { use = "fixed_steps", steps = 3 }',
}
BASE = """\
spec = 1
run.name = "case"
{model}
{data}
{sampler}
{verifier}
{optimizer}
{more}
[[phases]]
id = "refine"
prompts_per_step = 8
{objective}
{schedule}
"""
LISTS = {
    "evaluator": "evaluate",
    "filter": "filters",
    "probe": "probes",
    "reward": "rewards",
    "tracker": "trackers",
}


def spec_with(kind: str, use: str, settings: dict[str, str], *, mark: str = "") -> str:
    """A good spec with this component in its place; `mark` stands before the key that names it."""
    written = ", ".join([f'use = "{use}"', *(f"{key} = {value}" for key, value in settings.items())])
    places = {**PLACES, "more": ""}
    if kind == "adapter":
        places["model"] = f'model = {{ use = "hf_causal", name = "m", {mark}adapter = {{ {written} }} }}'
    elif kind in LISTS:
        places["more"] = f"{mark}{LISTS[kind]} = [{{ {written} }}]"
    else:
        *above, key = places[kind].partition(" = ")[0].split(".")
        places[kind] = f"{'.'.join([*above, mark + key])} = {{ {written} }}"
    return BASE.format(**places)


@pytest.mark.parametrize(("kind", "use"), COMPONENTS, ids=lambda word: str(word))
def test_every_setting_refuses_what_its_type_excludes(kind: str, use: str, tmp_path: Path) -> None:
    required = REQUIRED.get(use, {})
    for setting, kind_of_value in COMPONENTS[kind, use].items():
        if isinstance(kind_of_value, tuple):
            last = kind_of_value[-1]
            refused = {f"E0207>{last}": (f'"{last[:-1]}"', f'"{last.upper()}"'), "E0207": ('"qqqzzz"', "5", "true")}
        else:
            refused = dict(REFUSED[kind_of_value])
        for mark, values in refused.items():
            for value in values:
                settings = {**required, setting: f"«{mark}»{value}"}
                check(Marked(spec_with(kind, use, settings)), tmp_path)


@pytest.mark.parametrize("use", REQUIRED)
def test_every_required_setting_is_missed_at_the_key_that_names_its_component(use: str, tmp_path: Path) -> None:
    kind = next((k for k, name in COMPONENTS if name == use), "objective")
    for key in REQUIRED[use]:
        rest = {k: v for k, v in REQUIRED[use].items() if k != key}
        check(Marked(spec_with(kind, use, rest, mark="«E0204»")), tmp_path)


@pytest.mark.parametrize(("kind", "use"), COMPONENTS, ids=lambda word: str(word))
def test_every_component_refuses_a_setting_that_it_does_not_have(kind: str, use: str, tmp_path: Path) -> None:
    check(Marked(spec_with(kind, use, {**REQUIRED.get(use, {}), "«E0203»qqqzzz": "1"})), tmp_path)
