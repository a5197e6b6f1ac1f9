"""What an author's component in a slot of a built-in objective declares is checked in its own name, with its line."""

from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.registry.entry_points import PluginFault, load
from prerl_spec.registry.local import local_entries
from prerl_spec.registry.plugin_contract import STATELESS, check_declared_types
from prerl_spec.views import Conditional

HEAD = (
    "from prerl_spec.sdk import Advantage, Component, Conditional, Correction, Need, Ramp, Selection, Surrogate\n\n\n"
)
BASES = {
    "advantage": ("Advantage", "advantage(self, batch)"),
    "selection": ("Selection", "keep(self, batch, advantage_N)"),
    "surrogate": ("Surrogate", "loss(self, logp_n, old_n, advantage_n, tokens, more)"),
    "correction": (
        "Correction",
        "ratio(self, trainer_n, sampler_n, tokens): ...\n    def weight(self, trainer_n, sampler_n, advantage_n, tokens)",
    ),
    "ramp": ("Ramp", "at(self, step)"),
}

SPEC = """
spec = 1
run.name = "faulty"
verifier = "math_verify"
plugins.files = ["mine.py"]
optimizer = { use = "adamw", lr = 1e-3 }
data.train = { use = "arithmetic_chains", steps = [1, 1] }
sampler = { use = "transformers", group_size = 2, max_new_tokens = 4 }
model = { use = "from_scratch", tokenizer = "data:train", config = { model_type = "qwen3", hidden_size = 32, \
num_hidden_layers = 1, num_attention_heads = 1, num_key_value_heads = 1, head_dim = 32, intermediate_size = 32 } }

[[phases]]
id = "only"
prompts_per_step = 2
objective = { use = "policy_gradient", SLOTS }
schedule = { use = "fixed_steps", steps = 1 }
"""


def written(folder: Path, kind: str, body: str) -> Path:
    """A component of the kind that is whole but for `body`, which begins on line 6."""
    base, method = BASES[kind]
    file = folder / "mine.py"
    file.write_text(f'{HEAD}class Mine({base}):\n    "Mine."\n    {body}\n    def {method}: ...\n')
    return file


FAULTS = {
    "min_group raises": ("advantage", "min_group = property(lambda self: 1 // 0)", "ZeroDivisionError", ":6)"),
    "min_group is none": ("advantage", "min_group = property(lambda self: 0)", "min_group is 0, in `Mine`", ":4)"),
    "an advantage's reads raise": (
        "advantage",
        "def reads(self): return {}['x']",
        "KeyError: 'x', in `Mine.reads`",
        ":6)",
    ),
    "an advantage reads the policy": (
        *("advantage", "def reads(self): return frozenset({Need(Conditional())})"),
        *("reads() names a Need of the policy", ":4)"),
    ),
    "per is no word": ("advantage", "per = 'group'", "per is 'group', not one of sample, token", ":4)"),
    "sign is no word": ("advantage", "sign = 'none'", "sign is 'none', not one of both, positive, negative", ":4)"),
    "a selection's reads raise": ("selection", "def reads(self): return 1 // 0", "ZeroDivisionError", ":6)"),
    "a selection's reads are a list": (
        "selection",
        "def reads(self): return []",
        "reads() returns [], not a frozenset",
        ":4)",
    ),
    "a surrogate's needs raise": ("surrogate", "def needs(self, view): return 1 // 0", "ZeroDivisionError", ":6)"),
    "a surrogate's needs are a set": (
        "surrogate",
        "def needs(self, view): return {1}",
        "needs() returns {1}, not",
        ":4)",
    ),
    "uses_ratio is a word": ("surrogate", "uses_ratio = 'yes'", "uses_ratio is 'yes', not a bool", ":4)"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_declaration_in_a_slot_that_fails_names_its_component_and_its_line(case: str, tmp_path: Path) -> None:
    kind, body, said, line = FAULTS[case]
    (entry,) = local_entries(written(tmp_path, kind, body))
    with pytest.raises(PluginFault, match=r"`local.mine` of mine.py breaks the component contract") as caught:
        check_declared_types(load(entry)(), entry.name, entry.distribution, Conditional())
    assert said in (caught.value.help or "")
    assert (caught.value.help or "").endswith(f"mine.py{line}")


SLOTS = {
    "advantage": 'advantage = "local.mine"',
    "selection": 'advantage = "signed", selection = ["local.mine"]',
    "surrogate": 'advantage = "signed", surrogate = "local.mine"',
}
RAISING = {
    "advantage": "def reads(self): return 1 // 0",
    "selection": "def reads(self): return 1 // 0",
    "surrogate": "def needs(self, view): return 1 // 0",
}


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
@pytest.mark.parametrize("kind", SLOTS)
def test_every_command_refuses_it_at_its_place_and_nobody_calls_it_our_bug(
    command: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, kind, RAISING[kind])
    (tmp_path / "spec.toml").write_text(SPEC.replace("SLOTS", SLOTS[kind]))
    monkeypatch.chdir(tmp_path)
    assert main([command, "spec.toml", "--local-code"]) == 3
    said = "".join(capsys.readouterr())
    assert "error[E0305]: `local.mine` of mine.py breaks the component contract" in said
    assert "ZeroDivisionError" in said
    assert "mine.py:6)" in said


LAYING = {
    "a prompt": ("prompt.nothing", 3, "E0305: `local.mine` breaks the component contract"),
    "a response": (
        "Layout((1,), attempt.segments) if not attempt.segments else 1 / 0",
        5,
        "the view `local.mine` failed in",
    ),
}


@pytest.mark.parametrize("case", LAYING)
def test_a_view_that_fails_to_lay_out_is_its_authors(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan lays out the first prompt; a response, only a run."""
    returned, code, said = LAYING[case]
    (tmp_path / "mine.py").write_text(
        "from typing import ClassVar\nfrom prerl_spec.sdk import Component, Layout\n\n\nclass Mine(Component):\n"
        "    kind = 'view'\n    name: ClassVar[str] = 'mine'\n    def lay(self, prompt, attempt, codec):\n"
        f"        return {returned}\n"
    )
    (tmp_path / "spec.toml").write_text(SPEC.replace("SLOTS", 'advantage = "signed", view = "local.mine"'))
    monkeypatch.chdir(tmp_path)
    assert main(["run", "spec.toml", "--local-code"]) == code
    err = capsys.readouterr().err
    assert said in err
    assert "`Mine.lay` (" in err
    assert "mine.py:9)" in err


STATE = "def initial(self): return {'m': 0.0}\n    def after(self, batch, record, state): return state"


@pytest.mark.parametrize("kind", BASES)
def test_only_objectives_advantages_and_selections_have_a_state(kind: str, tmp_path: Path) -> None:
    (entry,) = local_entries(written(tmp_path, kind, STATE))
    mine = load(entry)()
    if kind not in STATELESS:
        check_declared_types(mine, entry.name, entry.distribution)
        return
    with pytest.raises(PluginFault) as caught:
        check_declared_types(mine, entry.name, entry.distribution)
    assert "only objectives, advantages and selections can have a state" in (caught.value.help or "")
