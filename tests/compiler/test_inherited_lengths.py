"""Evaluators that take the length of a response from a sampler whose length no phase uses."""

from pathlib import Path

import pytest

from prerl_spec.compiler.compile import compile_spec

SPEC = """
spec = 1
run = { name = "lengths" }
verifier = "exact_match"
sampler = { use = "transformers", max_new_tokens = 600 }
data.asked = { use = "arithmetic_chains", part = "prompts" }
[model]
use = "from_scratch"
tokenizer = "data:asked"
[model.config]
model_type = "qwen3"
hidden_size = 16
num_hidden_layers = 1
num_attention_heads = 1
head_dim = 16
max_position_embeddings = 512
"""
SAMPLED = """
[[phases]]
id = "first"
data = "asked"
prompts_per_step = 8
optimizer = { use = "adamw", lr = 1e-3 }
sampler = { use = "transformers", max_new_tokens = 16 }
objective = "marginal_nsr"
schedule = { use = "fixed_steps", steps = 4 }
"""
EVALUATE = '\n[[evaluate]]\nuse = "lm_eval"\n'


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (EVALUATE + 'tasks = ["math500_boxed"]', 1),
        (SAMPLED + EVALUATE + 'tasks = ["math500_boxed"]\nat = ["base"]', 1),
        (SAMPLED + EVALUATE + 'tasks = ["math500_boxed"]\nat = ["end"]', 0),
        (EVALUATE + 'tasks = ["math500_boxed"]\nmax_new_tokens = 16', 0),
        (EVALUATE + 'tasks = ["glue"]', 0),
        (EVALUATE + 'tasks = ["arc_easy"]', 0),
        (EVALUATE + 'tasks = ["gsm8k"]', 1),
    ],
)
def test_a_length_that_only_an_evaluator_takes_from_the_sampler_is_held_against_the_context(
    spec: str, told: int, tmp_path: Path
) -> None:
    file = tmp_path / "spec.toml"
    file.write_text(SPEC + spec)
    needs = [need for need in compile_spec(file).plan.prerequisites if need.what == "length"]
    assert [need.by for need in needs] == [("evaluate[0]",)] * told
