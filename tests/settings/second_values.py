"""For every setting of every built-in: settings under which it matters, and a second legal value that must be seen.

What is not listed here is searched for among the values that the kit guesses (`DERIVED`); a component of another kind
that is not listed, or a setting of a listed one without a value, fails the test.
"""

from prerl_components.adapters.lora import Lora
from prerl_components.models.hf_causal import HfCausal
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.verifiers.exact_match import ExactMatch

from tests.settings.only import Only, Settings

Name = tuple[str, str]

TINY_QWEN3: Settings = {
    "model_type": "qwen3",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "intermediate_size": 32,
    "tie_word_embeddings": True,
}
LEARNING_RATE: Settings = {
    "lr": 0.2,
    "weight_decay": 0.5,
    "max_grad_norm": 0.01,
    "lr_schedule": "cosine",
    "final_lr_fraction": Only(0.5, {"lr_schedule": "linear"}),
    "warmup_steps": 2,
    "betas": (0.5, 0.5),
    "eps": 0.1,
}
TABLE: Settings = {
    "question": "problem",
    "answer": "solution",
    "document": "text",
    "extract": "last_boxed",
    "template": "{{ level }}: {{ question }}",
    "system": "Be brief.",
    "chat": "off",
    "max_prompt_tokens": Only(40, {"over_long": "drop"}),
    "over_long": Only("drop", {"max_prompt_tokens": 40}),
    "on_bad_row": Only("drop", {"question": "sometimes"}),
    "verifier": ExactMatch(),
}
DRAWING: Settings = {
    "samples": 3,
    "temperature": 0.5,
    "top_p": 0.5,
    "max_new_tokens": 3,
    "limit": 2,
    "seed": 5,
}

SEEN_IN_BEHAVIOUR: dict[Name, tuple[Settings, Settings]] = {
    ("objective", "weighted_sum"): ({"terms": (Grpo(), Kl())}, {"terms": (Grpo(), Entropy())}),
    ("objective", "distill"): (
        {"teacher": HfCausal(name="acme/big")},
        {"coefficient": 0.5, "aggregation": "sequence_mean", "teacher": HfCausal(name="acme/other")},
    ),
    ("advantage", "gdpo"): ({}, {"weights": {"verdict": 2.0}}),
    ("optimizer", "adamw"): ({"lr": 0.1}, LEARNING_RATE),
    ("optimizer", "muon"): ({"lr": 0.1}, {**LEARNING_RATE, "momentum": 0.1, "adamw_lr": 0.01}),
    ("schedule", "fixed_steps"): ({"steps": 3}, {"steps": 4}),
    ("schedule", "reincarnate_after"): ({}, {"steps": 4, "tokens": 50}),
    ("schedule", "until_plateau"): (
        {"metric": "falls", "patience": 3, "steps": 20},
        {"metric": "rises", "patience": 5, "steps": 2},
    ),
    ("sampler", "transformers"): (
        {"max_new_tokens": 12},
        {"temperature": 0.5, "top_p": 0.5, "top_k": 2, "max_new_tokens": 5, "stop": ("e", "a", "o", "\n", " ")},
    ),
    ("verifier", "exact_match"): ({}, {"extract": "whole", "ignore_case": True}),
    ("verifier", "math_verify"): (
        {},
        {
            "extract": "lenient",
            "deadline_seconds": 1.0,
            "workers": 2,
            "memory_mb": 1024,
            "percent": "strict",
            "on_timeout": "unparsable",
        },
    ),
    ("data", "arithmetic_chains"): ({}, {"part": "easy", "seed": 1, "steps": (1, 2)}),
    ("data", "jsonl"): ({"path": "rows.jsonl"}, {**TABLE, "path": "other.jsonl"}),
    ("data", "hf_dataset"): ({"path": "folder"}, {**TABLE, "path": "other", "name": "second", "split": "test"}),
    ("model", "from_scratch"): (
        {"config": TINY_QWEN3, "tokenizer": "one"},
        {"config": {**TINY_QWEN3, "hidden_size": 32}, "tokenizer": "two", "dtype": "bfloat16", "seed": 5},
    ),
    ("model", "hf_causal"): (
        {"name": "one"},
        {
            "name": "two",
            "dtype": "bfloat16",
            "attention": "eager",
            "tokenizer": "two",
            "adapter": Lora(),
            "load": {"attention_dropout": 0.5},
        },
    ),
    ("adapter", "lora"): ({}, {"rank": 2, "alpha": 1.0, "targets": ("q_proj",), "dropout": 0.5, "merge": True}),
    ("view", "conditional"): ({}, {}),
    ("view", "marginal"): ({}, {"prefix": "Q"}),
    ("view", "prefix"): ({"text": "one"}, {"text": "two"}),
    ("tracker", "tensorboard"): ({}, {}),
    ("tracker", "wandb"): ({}, {"project": "mine", "mode": "online"}),
    ("evaluator", "holdout"): ({"data": "sums"}, {**DRAWING, "data": "others", "verifier": ExactMatch()}),
    ("evaluator", "lm_eval"): (
        {"tasks": ("counting",), "include": ("tasks",)},
        {
            **DRAWING,
            "tasks": ("counting", "again"),
            "include": ("elsewhere",),
            "data": {"counting": "other.jsonl"},
            "system": "Be brief.",
            "chat": "off",
            "num_fewshot": 1,
            "k": Only((2,), {"samples": 2}),
            "protocol": "task",
        },
    ),
    ("filter", "mixed_groups"): ({}, {}),
    ("filter", "max_length"): ({"tokens": 3}, {"tokens": 8}),
    ("filter", "drop_truncated"): ({}, {}),
    ("filter", "difficulty_band"): ({"low": 0.25, "high": 0.75}, {"low": 0.4, "high": 0.3}),
    ("filter", "reward_spread"): ({"least": 0.1}, {"least": 0.55}),
    ("reward", "overlong_penalty"): ({"buffer": 4}, {"buffer": 2, "weight": 0.5, "name": "tail"}),
    ("reward", "format_bonus"): ({"weight": 0.5}, {"weight": 0.2, "name": "form"}),
    ("reward", "length_penalty"): ({"weight": 0.5}, {"weight": 0.2, "name": "brevity"}),
    ("probe", "entropy"): ({}, {}),
    ("probe", "gradient_alignment"): (
        {"samples": 2},
        {"samples": 4, "prefix": "Q", "length": "sum", "batch": "off", "bands": 1},
    ),
    ("probe", "pass_at_k"): ({}, {"k": (3,)}),
    ("probe", "reward_by_length"): ({}, {"bins": 2}),
    ("probe", "solved"): ({}, {}),
    ("probe", "thoughts"): ({}, {}),
    ("probe", "response_length"): ({}, {}),
}
"""Observed in what the component itself does (behaviour.py)."""

DERIVED = {"objective", "advantage", "selection", "surrogate", "correction", "ramp"}
"""Kinds of pure functions, cheap to observe: second values, and the other settings under which they matter, are found by
trying. A setting that none of the guessed values makes visible fails the test."""

SEEN_IN_THE_PLAN: dict[tuple[str, str, str], tuple[str, str]] = {
    ("sampler", "transformers", "group_size"): ("group_size = 4", "group_size = 2"),
    ("filter", "mixed_groups", "refill_rounds"): (
        "[optimizer]",
        '[[filters]]\nuse = "mixed_groups"\nrefill_rounds = 3\n[optimizer]',
    ),
    ("evaluator", "holdout", "at"): ("limit = 10", 'limit = 10\nat = ["base"]'),
    ("evaluator", "holdout", "every"): ("limit = 10", "limit = 10\nevery = 2"),
    ("evaluator", "lm_eval", "at"): (
        'use = "holdout"\ndata = "easy"',
        'use = "lm_eval"\ntasks = ["arithmetic_chains_easy"]\nat = ["end"]',
    ),
    ("evaluator", "lm_eval", "every"): (
        'use = "holdout"\ndata = "easy"',
        'use = "lm_eval"\ntasks = ["arithmetic_chains_easy"]\nevery = 2',
    ),
}
"""Observed in the plan's arithmetic (steps, samples, tokens, rounds), never in the settings that it repeats."""

SEEN_IN_A_RUN = {
    *(
        ("schedule", use, setting)
        for use in ("fixed_steps", "reincarnate_after", "until_plateau")
        for setting in ("optimizer", "lr_schedule", "reference", "data")
    ),
    *(
        ("probe", use, "every")
        for use in (
            *(
                "entropy",
                "gradient_alignment",
                "pass_at_k",
                "response_length",
                "reward_by_length",
                "solved",
                "thoughts",
            ),
        )
    ),
}
"""Read by the engine: observed in small runs (test_every_setting.py; the reference in tests/engine/test_reference.py)."""

SEEN_BY_THE_HUB = {
    ("model", "hf_causal", "revision"),
    ("model", "hf_causal", "remote_code"),
    ("data", "hf_dataset", "revision"),
}
"""Without a meaning for local folders."""

SEEN_WITH_VLLM = {("sampler", "vllm"), ("sampler", "vllm_server")}
"""Observed where vLLM is installed (tests/components/test_samplers_vllm.py), or against a server that plays its part
(test_samplers_vllm_server.py)."""
