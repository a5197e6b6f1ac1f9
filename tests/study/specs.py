"""Studies of a model of 16 units, for tests."""

from pathlib import Path

_TORTURE = (Path(__file__).parents[1] / "torture.toml").read_text(encoding="utf-8")
HEAD = (
    _TORTURE.partition("[[phases]]")[0].replace("tortured", "tiny")
    + """
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
)
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
DOCUMENTS = (
    _TORTURE.partition("[[phases]]")[0]
    + """
[[phases]]
id = "pretrain"
data = "corpus"
documents_per_step = 2
objective = "next_token"
schedule = { use = "fixed_steps", steps = 1 }

[study]
seeds = [0, 1]
[study.arms]
one = {}
two = { optimizer = { use = "adamw", lr = 1e-3 } }
"""
)
"""No arm samples anything."""


def written(folder: Path, text: str) -> Path:
    """The spec in a file, its output folder beside it."""
    file = folder / "spec.toml"
    file.write_text(text.replace('"runs"', f'"{folder / "runs"}"'), encoding="utf-8")
    return file
