"""Values of other frameworks for keys that are ours too."""

from prerl_spec.compiler.resolve.foreign.word import HF, KERAS, OPENRLHF, PRIME, TRL, VERL, VLLM, ForeignValue

VALUES = (
    ForeignValue("aggregation", "dapo", (TRL,), "token_mean"),
    ForeignValue("aggregation", "grpo", (TRL,), "sequence_mean"),
    ForeignValue("aggregation", "dr_grpo", (TRL,), "constant"),
    ForeignValue("aggregation", "seq-mean-token-mean", (VERL, OPENRLHF), "sequence_mean"),
    ForeignValue("aggregation", "seq-mean-token-sum-norm", (VERL,), "constant"),
    ForeignValue(
        "aggregation", "seq-mean-token-sum", (VERL,), "constant", "the same but for the factor 1/max_new_tokens"
    ),
    ForeignValue("importance", "token_truncate", (TRL,), "truncate"),
    ForeignValue("importance", "token_mask", (TRL,), "mask"),
    ForeignValue(
        "importance", "sequence_mask", (TRL,), "mask", "of tokens; whole responses: `correction` of a `policy_gradient`"
    ),
    ForeignValue(
        "importance",
        "sequence_truncate",
        (TRL,),
        "truncate",
        "of tokens; whole responses: `correction` of a `policy_gradient`",
    ),
    ForeignValue("importance", "token", (VERL,), "truncate"),
    ForeignValue("importance", "tis", (OPENRLHF,), "truncate"),
    ForeignValue(
        "importance", "icepop", (OPENRLHF,), "mask", "with a lower bound: the correction `band` of a `policy_gradient`"
    ),
    ForeignValue("estimator", "low_var_kl", (VERL,), "k3"),
    ForeignValue("estimator", "mse", (VERL,), "k2"),
    ForeignValue("estimator", "kl", (VERL,), "k1"),
    ForeignValue("lr_schedule", "constant_with_warmup", (HF,), "constant", "`warmup_steps` is a key of its own"),
    ForeignValue("lr_schedule", "cosine_with_min_lr", (HF, OPENRLHF), "cosine", "the least is `final_lr_fraction`"),
    ForeignValue("dtype", "bf16", (HF, PRIME), "bfloat16"),
    ForeignValue("dtype", "fp16", (HF,), "float16"),
    ForeignValue("dtype", "half", (VLLM,), "float16"),
    ForeignValue("dtype", "fp32", (HF,), "float32"),
    ForeignValue("precision", "bf16", (HF,), "bfloat16"),
    ForeignValue("precision", "fp16", (HF,), "float16"),
    ForeignValue("precision", "no", (HF,), "float32"),
    ForeignValue("strategy", "fsdp", (VERL,), "fsdp2"),
    ForeignValue(
        "strategy", "deepspeed", (OPENRLHF,), "fsdp2", "DeepSpeed is not used; fsdp2 shards weights and moments"
    ),
    ForeignValue("mode", "disabled", ("wandb",), "offline", "or leave the tracker out"),
)
"""Where a choice is called otherwise."""

NAMES = (
    ForeignValue("optimizer", "adam", (KERAS,), "adamw", "without weight decay, its default, it is Adam"),
    ForeignValue("optimizer", "adamw_torch", (HF,), "adamw"),
    ForeignValue("optimizer", "adamw_torch_fused", (HF,), "adamw"),
    ForeignValue("optimizer", "adamw_bnb_8bit", (HF,), "adamw", "its moments are float32"),
    ForeignValue("optimizer", "paged_adamw_8bit", (HF,), "adamw", "its moments are float32"),
    ForeignValue("sampler", "hf", (VERL,), "transformers"),
)
"""Where a component is called otherwise: by its kind, the name elsewhere and here."""

BOUNDS = (ForeignValue("top_k", "-1", (VERL, VLLM), "0"),)
"""Where a number means off there and is out of bounds here."""
