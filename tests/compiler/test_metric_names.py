"""Where a component does not say which metrics it gives, a schedule may wait for any."""

from pathlib import Path

import pytest
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.probes.solved import Solved

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.rules.metric_rules import said_by
from prerl_spec.errors import SpecInvalid

SPEC = """
spec = 1
run = { name = "scores" }
verifier = "exact_match"
optimizer = { use = "adamw", lr = 1e-3 }
sampler = "transformers"
data.train = { use = "arithmetic_chains" }
[model]
use = "from_scratch"
tokenizer = "data:train"
config = { model_type = "qwen3", hidden_size = 16, num_hidden_layers = 1, num_attention_heads = 1, head_dim = 16 }
[[evaluate]]
use = "holdout"
data = "train"
max_new_tokens = 8
limit = 2
"""
PHASE = """
[[phases]]
id = "ID"
prompts_per_step = 4
objective = "marginal_nsr"
schedule = { use = "until_plateau", metric = "train/avg@1", patience = 1, steps = 4 }
"""
BEFORE = PHASE.replace("train/avg@1", "reward_mean").replace("ID", "before")


class Measuring(Solved):
    def measure(self, step: object) -> dict[str, float]:  # type: ignore[override]
        return {"mine": 1.0}


class Saying(Measuring):
    metric_names = ("mine",)


class Renamed(Grpo):
    pass


def test_a_subclass_that_measures_anew_says_its_own_names_or_none() -> None:
    assert said_by(Solved()) == ("solved_*",)
    assert said_by(Measuring()) is None
    assert said_by(Saying()) == ("mine",)
    assert said_by(Renamed()) == Grpo.metric_names


@pytest.mark.parametrize(
    ("at", "phases", "is_measured"),
    [
        ('at = ["end"]', PHASE, False),
        ('at = ["phases", "end"]', PHASE, False),
        ('at = ["base", "end"]', PHASE, True),
        ('at = ["end"]\nevery = 2', PHASE, True),
        ('at = ["phases"]', BEFORE + PHASE, True),
        ('at = ["base"]', BEFORE + PHASE, False),
    ],
)
def test_a_score_ends_a_phase_only_if_it_is_measured_before_the_phase_ends(
    at: str, phases: str, is_measured: bool, tmp_path: Path
) -> None:
    file = tmp_path / "spec.toml"
    file.write_text(SPEC + at + "\n" + phases.replace("ID", "last"))
    if is_measured:
        compile_spec(file)
        return
    with pytest.raises(SpecInvalid) as caught:
        compile_spec(file)
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == ("E0207", "metric: `train/avg@1` is not measured before phase `last` ends")
