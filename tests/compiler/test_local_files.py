"""Components in Python files beside a spec: planned with their content's hash, built with leave only, held to that content."""

from pathlib import Path

import pytest

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.estimates.local_files import model_config
from prerl_spec.compiler.estimates.unknown import NotKnown
from prerl_spec.errors import Drift, EnvironmentUnmet, SpecInvalid

OBJECTIVE = """
import numpy as np
from prerl_spec.sdk import Conditional, Credit, Need, OnePartObjective

class EvenHanded(OnePartObjective):
    'Every response alike.'

    def needs(self):
        return frozenset({Need(Conditional())})

    def credit(self, step, known):
        size = step.tokens.num_tokens
        return Credit(np.ones(size), np.ones(size) / max(1, size), f"tokens: {size}")

    def terms(self, logp, advantage_n, tokens):
        return -logp[Need(Conditional())]
"""

SPEC = """
spec = 1
run.name = "local"
plugins.files = ["mine.py"]
model = { use = "from_scratch", tokenizer = "data:train", config = { model_type = "qwen3", hidden_size = 32, \
num_hidden_layers = 1, num_attention_heads = 1, num_key_value_heads = 1, head_dim = 32, intermediate_size = 32 } }
data.train = "arithmetic_chains"
sampler = "transformers"
verifier = "exact_match"
optimizer = { use = "adamw", lr = 1e-3 }
[[phases]]
id = "only"
prompts_per_step = 2
objective = "local.even_handed"
schedule = { use = "fixed_steps", steps = 1 }
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(OBJECTIVE)
    (tmp_path / "spec.toml").write_text(SPEC)
    return tmp_path / "spec.toml"


def test_a_local_objective_is_planned_and_built(spec: Path) -> None:
    compiled = compile_spec(spec, local_code=True)
    objective = compiled.graph.phases[0].objective
    assert (objective.use, type(objective.component).__name__) == ("local.even_handed", "EvenHanded")
    assert list(compiled.plan.plugin_files) == [str(spec.parent / "mine.py")]


def test_without_leave_nothing_of_a_spec_or_a_plan_is_run(spec: Path) -> None:
    plan = spec.with_name("plan.json")
    plan.write_text(compile_spec(spec, local_code=True).plan.text())
    (spec.parent / "mine.py").write_text("raise SystemError('this was run')")
    with pytest.raises(SpecInvalid) as invalid:
        compile_spec(spec)
    assert invalid.value.exit_code == 3
    with pytest.raises(EnvironmentUnmet, match="the plan runs Python code"):
        compile_spec(plan)


def test_an_edited_file_is_another_meaning(spec: Path) -> None:
    before = compile_spec(spec, local_code=True).plan
    plan = spec.with_name("plan.json")
    plan.write_text(before.text())
    assert compile_spec(plan, local_code=True).graph.digest == before.digest
    (spec.parent / "mine.py").write_text(OBJECTIVE + "\n# another thought\n")
    assert compile_spec(spec, local_code=True).plan.digest != before.digest
    with pytest.raises(Drift, match=r"mine\.py has changed since the plan was made"):
        compile_spec(plan, local_code=True)


def test_the_folder_of_a_spec_is_no_part_of_its_meaning(spec: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("mine.py", "spec.toml"):
        (elsewhere / name).write_bytes((tmp_path / name).read_bytes())
    digests = {compile_spec(file, local_code=True).plan.digest for file in (spec, elsewhere / "spec.toml")}
    assert len(digests) == 1


def test_a_name_that_no_file_system_takes_is_not_a_folder() -> None:
    with pytest.raises(NotKnown, match="not on this machine"):
        model_config({"name": "x" * 5000}, None)
