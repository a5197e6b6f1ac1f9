"""A whole spec to be bent by tests, and the shortest way through the compiler."""

from pathlib import Path

from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Diagnostic
from prerl_spec.registry.entry_points import Registry

TINY = """\
spec = 1
[run]
name = "tiny"
seed = 3
output_dir = "runs"
[model]
use = "from_scratch"
tokenizer = "data:corpus"
[model.config]
model_type = "qwen3"
hidden_size = 96
num_hidden_layers = 3
num_attention_heads = 3
num_key_value_heads = 1
head_dim = 32
intermediate_size = 256
tie_word_embeddings = true
[data.corpus]
use = "arithmetic_chains"
part = "corpus"
[data.train]
use = "arithmetic_chains"
[data.easy]
use = "arithmetic_chains"
part = "easy"
[sampler]
use = "transformers"
group_size = 4
max_new_tokens = 60
[verifier]
use = "exact_match"
[optimizer]
use = "adamw"
lr = 1e-4
[checkpoint]
every = 10
[[phases]]
id = "pretrain"
data = "corpus"
documents_per_step = 32
objective = "next_token"
schedule = { use = "fixed_steps", steps = 9 }
optimizer = { use = "muon", lr = 0.02 }
[[phases]]
id = "prune"
prompts_per_step = 6
[phases.objective]
use = "marginal_nsr"
coefficient = 0.01
[phases.schedule]
use = "reincarnate_after"
steps = 5
[[phases]]
id = "refine"
prompts_per_step = 6
updates_per_batch = 2
[phases.objective]
use = "grpo"
[phases.schedule]
use = "fixed_steps"
steps = 7
[[evaluate]]
use = "holdout"
data = "easy"
samples = 4
limit = 10
"""
"""Three phases, no diagnostics."""


def bent(*changes: tuple[str, str]) -> str:
    """TINY with each text replaced once; a text that is not there is a mistake of the test."""
    text = TINY
    for old, new in changes:
        assert old in text, f"{old!r} is not in the spec"
        text = text.replace(old, new, 1)
    return text


def found_in(text: str, registry: Registry | None = None) -> list[Diagnostic]:
    """Everything that resolve and wiring say of a spec."""
    return list(diagnose(resolve_text(text, registry=registry)))


def under(text: str, diagnostic: Diagnostic) -> str:
    """What the carets of a diagnostic stand under."""
    span = diagnostic.span
    assert span is not None, diagnostic
    assert span.line == span.end_line, diagnostic
    return text.split("\n")[span.line - 1][span.column - 1 : span.end_column - 1]


def written(folder: Path, text: str, name: str = "spec.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file
