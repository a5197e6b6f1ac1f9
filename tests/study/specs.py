"""Studies of a model of 16 units, for tests."""

from pathlib import Path

HEAD = """
spec = 1
run = { name = "tiny", output_dir = "runs" }
checkpoint = { every = 2, keep = 1 }
verifier = "exact_match"
optimizer = { use = "adamw", lr = 1e-3, weight_decay = 0.1 }

[model]
use = "from_scratch"
tokenizer = "data:corpus"

[model.config]
model_type = "qwen3"
hidden_size = 16
num_hidden_layers = 1
num_attention_heads = 2
num_key_value_heads = 1
head_dim = 8
intermediate_size = 32
max_position_embeddings = 64
tie_word_embeddings = true

[data]
corpus = { use = "arithmetic_chains", part = "corpus", steps = [1, 1] }
train = { use = "arithmetic_chains", steps = [1, 1] }

[sampler]
use = "transformers"
group_size = 2
max_new_tokens = 8

[[evaluate]]
use = "holdout"
data = "train"
limit = 2
at = ["base", "end"]

[[phases]]
id = "pretrain"
prompts_per_step = 2
objective = { use = "marginal_nsr", advantage = "minus_one" }
schedule = { use = "fixed_steps", steps = 1 }

[[phases]]
id = "refine"
prompts_per_step = 2
objective = { use = "marginal_pg", advantage = "minus_one" }
schedule = { use = "fixed_steps", steps = 2 }
"""
TWO_ARMS = (
    HEAD
    + """
[study]
seeds = [0, 1]
primary = "train/avg@1"

[study.arms]
refined = {}

[[study.arms.pruned.phases]]
id = "refine"
objective = { use = "marginal_nsr", advantage = "minus_one" }
"""
)
WARM = """
[[study.arms.{arm}.phases]]
id = "prune"
after = "pretrain"
prompts_per_step = 2
objective = {{ use = "marginal_nsr", advantage = "minus_one" }}
schedule = {{ use = "reincarnate_after", steps = {steps} }}

[[study.arms.{arm}.phases]]
id = "refine"
objective = {{ use = "marginal_pg", advantage = "minus_one", aggregation = "{aggregation}" }}
"""
FOUR_ARMS = (
    HEAD
    + """
[study]
seeds = [0, 1, 2]
primary = "train/avg@1"
budget = 96
[study.arms]
refined = {}
"""
    + WARM.format(arm="warm", steps=1, aggregation="token_mean")
    + WARM.format(arm="even", steps=1, aggregation="sequence_mean")
    + WARM.format(arm="long", steps=2, aggregation="token_mean")
)
"""Two arms share a warm-up of one step behind what all share."""


def written(folder: Path, text: str) -> Path:
    """The spec in a file, its output folder beside it."""
    file = folder / "spec.toml"
    file.write_text(text.replace('"runs"', f'"{folder / "runs"}"'), encoding="utf-8")
    return file
