"""The grammar's table of settings, as types: what each built-in component takes, and what no setting of a type takes."""

from collections.abc import Mapping

POSITIVE, NATURAL, ABOVE_0, FROM_0, FRACTION, SHARE = "int >= 1", "int >= 0", "> 0", ">= 0", "[0, 1)", "(0, 1]"
CLOSED = "[0, 1]"
TRUTH, TEXT, TEXTS, TABLE, WORD = "true or false", "text", "list of texts", "handed on", "[a-z][a-z0-9_]*"
OFF_OR_POSITIVE, OFF_OR_ABOVE_1 = '"off" or int >= 1', '"off" or > 1'

REFUSED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    POSITIVE: {"E0202": ("0", "-1"), "E0201": ('"8"', "8.0", "true", "[8]", "1e3")},
    NATURAL: {"E0202": ("-1",), "E0201": ('"8"', "8.0", "true")},
    ABOVE_0: {"E0202": ("0", "-0.5", "nan", "inf", "-inf", "1e400"), "E0201": ('"1"', "true", "[1]")},
    FROM_0: {"E0202": ("-0.5", "nan", "inf"), "E0201": ('"1"', "true")},
    FRACTION: {"E0202": ("1", "1.0", "-0.1"), "E0201": ('"0.1"', "true")},
    SHARE: {"E0202": ("0", "1.5", "-1"), "E0201": ('"1"', "true")},
    CLOSED: {"E0202": ("-0.1", "1.5", "nan"), "E0201": ('"1"', "true")},
    TRUTH: {"E0201": ("1", "0", '"true"')},
    TEXT: {"E0201": ("5", "true", "1.5", '["x"]', "2024-01-01")},
    WORD: {"E0202": ('""', '"Tail"', '"a b"', '"1st"'), "E0201": ("5", "true", '["x"]')},
    TEXTS: {"E0201": ('"x"', "5", "true")},
    TABLE: {"E0201": ("5", '["x"]', "true")},
    OFF_OR_POSITIVE: {"E0202": ("0", "-1"), "E0201": ("true", "2.0"), "E0207>off": ('"of"',)},
    OFF_OR_ABOVE_1: {"E0202": ("1", "0.5", "-1"), "E0201": ("true", "[2]"), "E0207>off": ('"of"',)},
}
"""Type -> code -> values, as TOML."""

Settings = Mapping[str, str | tuple[str, ...]]
"""Setting -> its type, or its choices."""

_OBJECTIVE: Settings = {
    "coefficient": ABOVE_0,
    "aggregation": ("token_mean", "sequence_mean", "constant"),
    "clip_low": FROM_0,
    "clip_high": FROM_0,
    "dual_clip": OFF_OR_ABOVE_1,
    "importance": ("off", "truncate", "mask"),
    "importance_cap": ABOVE_0,
    "unparsable": ("wrong", "mask"),
}
_MARGINAL: Settings = {
    **_OBJECTIVE,
    "advantage": ("group_mean", "minus_one"),
    "center": ("none", "group"),
    "prefix": TEXT,
}
_SAMPLER: Settings = {
    "group_size": POSITIVE,
    "temperature": FROM_0,
    "top_p": SHARE,
    "top_k": NATURAL,
    "max_new_tokens": POSITIVE,
    "stop": TEXTS,
}
_ROWS: Settings = {
    "path": TEXT,
    "question": TEXT,
    "answer": TEXT,
    "document": TEXT,
    "extract": TEXT,
    "template": TEXT,
    "system": TEXT,
    "max_prompt_tokens": POSITIVE,
    "over_long": ("error", "drop"),
    "on_bad_row": ("error", "drop"),
}
_OPTIMIZER: Settings = {
    "lr": ABOVE_0,
    "eps": ABOVE_0,
    "weight_decay": FROM_0,
    "max_grad_norm": ABOVE_0,
    "lr_schedule": ("constant", "linear", "cosine"),
    "final_lr_fraction": FRACTION,
    "warmup_steps": NATURAL,
}
_SCHEDULE: Settings = {
    "steps": POSITIVE,
    "optimizer": ("carry", "reset"),
    "lr_schedule": ("restart", "carry"),
    "reference": ("resync", "keep"),
    "data": ("carry", "restart"),
}
_EVALUATOR: Settings = {
    "samples": POSITIVE,
    "temperature": FROM_0,
    "top_p": SHARE,
    "max_new_tokens": POSITIVE,
    "seed": NATURAL,
    "every": OFF_OR_POSITIVE,
    "limit": OFF_OR_POSITIVE,
}
PROTOCOLS = ("off", "task", "greedy", "open-r1", "prerl", "qwen3-thinking")
_DTYPE = ("float32", "bfloat16", "float16")

COMPONENTS: Mapping[tuple[str, str], Settings] = {
    ("objective", "grpo"): {**_OBJECTIVE, "advantage": ("group_std",)},
    ("objective", "marginal_nsr"): _MARGINAL,
    ("objective", "marginal_psr"): _MARGINAL,
    ("objective", "marginal_pg"): _MARGINAL,
    ("sampler", "transformers"): _SAMPLER,
    ("sampler", "vllm"): {**_SAMPLER, "max_gap": ABOVE_0, "engine": TABLE},
    ("sampler", "vllm_server"): {**_SAMPLER, "max_gap": ABOVE_0, "engine": TABLE, "urls": TEXTS, "push_dir": TEXT},
    ("verifier", "math_verify"): {
        "extract": ("last_boxed", "lenient"),
        "deadline_seconds": ABOVE_0,
        "workers": POSITIVE,
        "memory_mb": POSITIVE,
    },
    ("verifier", "exact_match"): {"extract": ("last_boxed", "whole"), "ignore_case": TRUTH},
    ("model", "hf_causal"): {"name": TEXT, "revision": TEXT, "dtype": _DTYPE, "tokenizer": TEXT, "load": TABLE},
    ("model", "from_scratch"): {"config": TABLE, "tokenizer": TEXT, "dtype": _DTYPE, "seed": NATURAL},
    ("adapter", "lora"): {"rank": POSITIVE, "alpha": ABOVE_0, "dropout": FRACTION, "merge": TRUTH},
    ("data", "jsonl"): _ROWS,
    ("data", "hf_dataset"): {**_ROWS, "name": TEXT, "split": TEXT, "revision": TEXT},
    ("data", "arithmetic_chains"): {"part": ("prompts", "corpus", "easy", "hard"), "seed": NATURAL},
    ("optimizer", "adamw"): _OPTIMIZER,
    ("optimizer", "muon"): {**_OPTIMIZER, "momentum": FRACTION, "adamw_lr": ABOVE_0},
    ("schedule", "fixed_steps"): _SCHEDULE,
    ("schedule", "reincarnate_after"): {**_SCHEDULE, "tokens": POSITIVE},
    ("schedule", "until_plateau"): {**_SCHEDULE, "metric": TEXT, "patience": POSITIVE},
    ("evaluator", "lm_eval"): {**_EVALUATOR, "include": TEXTS, "system": TEXT, "protocol": PROTOCOLS},
    ("evaluator", "holdout"): _EVALUATOR,
    ("filter", "difficulty_band"): {"low": CLOSED, "high": CLOSED},
    ("filter", "drop_truncated"): {},
    ("filter", "max_length"): {"tokens": POSITIVE},
    ("filter", "mixed_groups"): {"refill_rounds": NATURAL},
    ("filter", "reward_spread"): {"least": ABOVE_0},
    ("reward", "format_bonus"): {"name": WORD, "weight": ABOVE_0},
    ("reward", "length_penalty"): {"name": WORD, "weight": ABOVE_0},
    ("reward", "overlong_penalty"): {"name": WORD, "weight": ABOVE_0, "buffer": POSITIVE},
    ("probe", "entropy"): {"every": POSITIVE},
    ("probe", "gradient_alignment"): {
        "every": POSITIVE,
        "samples": POSITIVE,
        "prefix": TEXT,
        "length": ("mean", "sum"),
        "batch": ("on", "off"),
        "bands": POSITIVE,
    },
    ("probe", "pass_at_k"): {"every": POSITIVE},
    ("probe", "reward_by_length"): {"every": POSITIVE},
    ("probe", "solved"): {"every": POSITIVE},
    ("probe", "thoughts"): {"every": POSITIVE, "rules": ("seal",)},
    ("probe", "response_length"): {"every": POSITIVE},
    ("tracker", "wandb"): {"project": TEXT, "mode": ("offline", "online")},
}

REQUIRED: Mapping[str, Mapping[str, str]] = {
    "hf_causal": {"name": '"m"'},
    "from_scratch": {"config": '{ model_type = "qwen3" }', "tokenizer": '"t"'},
    "jsonl": {"path": '"p"'},
    "hf_dataset": {"path": '"p"'},
    "vllm_server": {"urls": '["http://localhost:8000"]'},
    "adamw": {"lr": "1"},
    "muon": {"lr": "1"},
    "fixed_steps": {"steps": "3"},
    "until_plateau": {"metric": '"reward_mean"', "patience": "2", "steps": "9"},
    "difficulty_band": {"low": "0.2", "high": "0.8"},
    "max_length": {"tokens": "100"},
    "reward_spread": {"least": "0.1"},
    "format_bonus": {"weight": "0.1"},
    "length_penalty": {"weight": "0.1"},
    "overlong_penalty": {"buffer": "9"},
    "lm_eval": {"tasks": '["a"]'},
    "holdout": {"data": '"train"'},
    "weighted_sum": {"terms": '["grpo"]'},
}
"""Component -> what it requires, with values that hold."""
