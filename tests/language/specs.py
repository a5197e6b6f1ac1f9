"""Two good specs, one short and written inline, one long and written with headers, and edits of them."""

SHORT = """\
spec = 1
run.name = "x"
model = { use = "hf_causal", name = "m" }
data.train = { use = "jsonl", path = "t.jsonl" }
sampler = { use = "transformers", group_size = 4 }
verifier = "math_verify"
optimizer = { use = "adamw", lr = 1e-6 }

[[phases]]
id = "a"
prompts_per_step = 8
objective = "grpo"
schedule = { use = "fixed_steps", steps = 3 }
"""

LONG = """\
spec = 1

[run]
name = "x"
seed = 17

[model]
use = "hf_causal"
name = "m"

[data.train]
use = "jsonl"
path = "t.jsonl"

[data.heldout]
use = "jsonl"
path = "h.jsonl"

[optimizer]
use = "adamw"
lr = 1e-6

[sampler]
use = "vllm"
group_size = 8

[verifier]
use = "math_verify"

[[evaluate]]
use = "lm_eval"
tasks = ["math500_boxed"]

[[evaluate]]
use = "holdout"
data = "heldout"

[[phases]]
id = "prune"
prompts_per_step = 128
[phases.objective]
use = "marginal_nsr"
coefficient = 0.01
[phases.schedule]
use = "reincarnate_after"
steps = 20

[[phases]]
id = "refine"
prompts_per_step = 128
[phases.objective]
use = "grpo"
[phases.schedule]
use = "fixed_steps"
steps = 328
"""

SCORED = """\
spec = 1
run.name = "x"
model = { use = "hf_causal", name = "m" }
"""
"""The head of an evaluation-only spec."""


def short(*edits: tuple[str, str]) -> str:
    """SHORT with texts replaced, each of which stands in it once."""
    return _edited(SHORT, edits, once=True)


def long(*edits: tuple[str, str]) -> str:
    """LONG with the first occurrences of texts replaced."""
    return _edited(LONG, edits, once=False)


def _edited(text: str, edits: tuple[tuple[str, str], ...], *, once: bool) -> str:
    for old, new in edits:
        assert text.count(old) == 1 or (text.count(old) and not once), f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new, 1)
    return text
