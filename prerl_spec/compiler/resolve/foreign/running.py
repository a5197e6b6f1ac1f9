"""Words for models, checkpoints, processes, evaluation and logs, and the tables that other frameworks write."""

from prerl_spec.compiler.resolve.foreign.word import (
    ADAPTER,
    CHECKPOINT,
    COMPONENT,
    DATA,
    DISTRIBUTED,
    EVALUATE,
    HOLDOUT,
    MODEL,
    OPENRLHF,
    OPTIMIZER,
    PEFT,
    PHASE,
    PRIME,
    RUN,
    SAMPLER,
    TRACKERS,
    TRL,
    VERL,
    WANDB,
    ForeignTable,
    ForeignWord,
)

_FLAG = 'a flag there, a word here: "bfloat16"'

MODELS = (
    ForeignWord("model_name_or_path", (TRL, OPENRLHF), "name", MODEL),
    ForeignWord("pretrain", (OPENRLHF,), "name", MODEL),
    ForeignWord("model_revision", (TRL,), "revision", MODEL),
    ForeignWord("torch_dtype", (TRL,), "dtype", MODEL),
    ForeignWord("bf16", (TRL, OPENRLHF), "dtype", MODEL, _FLAG),
    ForeignWord("fp16", (TRL,), "dtype", MODEL, 'a flag there, a word here: "float16"'),
    ForeignWord("attn_implementation", (TRL, OPENRLHF), "attention", MODEL),
    ForeignWord("attn", (PRIME,), "attention", MODEL),
    ForeignWord("model_init_kwargs", (TRL,), "load", MODEL),
    ForeignWord("override_config", (VERL,), "load", MODEL),
    ForeignWord(
        "trust_remote_code",
        (TRL, VERL, PRIME),
        "remote_code",
        MODEL,
        "a flag there; here the commit whose code you trust",
    ),
    ForeignWord("use_peft", (TRL,), "adapter", MODEL, 'adapter = "lora"'),
    ForeignWord("peft_config", (TRL,), "adapter", MODEL, 'adapter = { use = "lora", rank = 16 }'),
    ForeignWord("lora_r", (TRL,), "rank", ADAPTER),
    ForeignWord("r", (PEFT,), "rank", ADAPTER),
    ForeignWord("lora_rank", (VERL, OPENRLHF), "rank", ADAPTER, "0 is no adapter there; here the adapter is left out"),
    ForeignWord("lora_alpha", (PEFT, TRL, VERL, OPENRLHF), "alpha", ADAPTER),
    ForeignWord("lora_dropout", (PEFT, TRL, OPENRLHF), "dropout", ADAPTER),
    ForeignWord("target_modules", (PEFT, VERL, OPENRLHF), "targets", ADAPTER),
    ForeignWord("lora_target_modules", (TRL,), "targets", ADAPTER),
)
"""Words for the model and its adapter."""

RUNS = (
    ForeignWord("run_name", (TRL,), "name", RUN),
    ForeignWord("experiment_name", (VERL,), "name", RUN),
    ForeignWord("wandb_run_name", (OPENRLHF,), "name", RUN),
    ForeignWord("project_name", (VERL,), "project", WANDB),
    ForeignWord("wandb_project", (OPENRLHF,), "project", WANDB),
    ForeignWord("report_to", (TRL,), 'use = "wandb"', TRACKERS),
    ForeignWord("logger", (VERL,), 'use = "wandb"', TRACKERS),
    ForeignWord("use_wandb", (OPENRLHF,), 'use = "wandb"', TRACKERS),
    ForeignWord("use_tensorboard", (OPENRLHF,), 'use = "tensorboard"', TRACKERS),
    ForeignWord("default_local_dir", (VERL,), "output_dir", RUN),
    ForeignWord("save_path", (OPENRLHF,), "output_dir", RUN),
    ForeignWord("save_steps", (TRL, OPENRLHF), "every", CHECKPOINT, "TRL's is 500 unless set, ours 50"),
    ForeignWord(
        "save_freq",
        (VERL,),
        "every",
        CHECKPOINT,
        "-1, verl's default, is never; here the end of a phase is always kept",
    ),
    ForeignWord(
        "logging_steps",
        (TRL, OPENRLHF),
        "",
        note="every step is shown, and is a line of events.jsonl in the run's folder",
    ),
    ForeignWord("log_completions", (TRL,), "", note="every response is kept: `prerl-spec samples RUN` shows them"),
    ForeignWord("save_total_limit", (TRL,), "keep", CHECKPOINT),
    ForeignWord("max_actor_ckpt_to_keep", (VERL,), "keep", CHECKPOINT),
    ForeignWord("keep_last", (PRIME,), "keep", CHECKPOINT),
    ForeignWord("max_ckpt_num", (OPENRLHF,), "keep", CHECKPOINT),
    ForeignWord("eval_steps", (TRL, OPENRLHF), "every", EVALUATE),
    ForeignWord("test_freq", (VERL,), "every", EVALUATE),
    ForeignWord("val_before_train", (VERL,), "at", EVALUATE, 'true is "base" among its moments'),
    ForeignWord(
        "gradient_checkpointing",
        (TRL, OPENRLHF),
        "activation_checkpointing",
        DISTRIBUTED,
        "on unless set in TRL, off here",
    ),
    ForeignWord(
        "enable_gradient_checkpointing",
        (VERL,),
        "activation_checkpointing",
        DISTRIBUTED,
        "on unless set in verl, off here",
    ),
    ForeignWord("n_gpus_per_node", (VERL,), "processes", DISTRIBUTED, "on all nodes together"),
    ForeignWord("nnodes", (VERL,), "processes", DISTRIBUTED, "the GPUs of all nodes together"),
    ForeignWord("full_determinism", (TRL, OPENRLHF), 'determinism = "invariant"', DISTRIBUTED),
    ForeignWord("type", (PRIME,), "use", COMPONENT),
    ForeignWord(
        "zero_stage",
        (OPENRLHF,),
        'strategy = "fsdp2"',
        DISTRIBUTED,
        "DeepSpeed is not used; fsdp2 shards as stage 3 does",
    ),
)
"""Words for a run, its processes and what it leaves."""

IN_TABLES = (
    (("model", "path"), ForeignWord("path", (VERL,), "name", MODEL)),
    (("optim", "lr"), ForeignWord("lr", (VERL, PRIME), "lr", OPTIMIZER)),
    (("adam", "lr"), ForeignWord("lr", (OPENRLHF,), "lr", OPTIMIZER)),
    (("adam", "betas"), ForeignWord("betas", (OPENRLHF,), "betas", OPTIMIZER)),
    (("data", "path"), ForeignWord("path", (VERL,), "path", DATA)),
    (("data", "name"), ForeignWord("name", (PRIME,), "path", DATA, 'with `use = "hf_dataset"`')),
    (("rollout", "name"), ForeignWord("name", (VERL,), "use", SAMPLER, '"vllm"')),
    (("algorithm", "name"), ForeignWord("name", (VERL,), "objective", PHASE)),
    (("wandb", "project"), ForeignWord("project", (PRIME, OPENRLHF), "project", WANDB)),
    (("wandb", "offline"), ForeignWord("offline", (PRIME,), "mode", WANDB, '"offline" unless set')),
    (("wandb", "mode"), ForeignWord("mode", ("wandb",), "mode", WANDB, '"offline" unless set')),
    (("eval", "steps"), ForeignWord("steps", (OPENRLHF,), "every", EVALUATE)),
    (("eval", "interval"), ForeignWord("interval", (PRIME,), "every", EVALUATE)),
    (("eval", "dataset"), ForeignWord("dataset", (OPENRLHF,), "data", HOLDOUT, "the name of a data set")),
    (("ckpt", "interval"), ForeignWord("interval", (PRIME,), "every", CHECKPOINT)),
    *(
        ((table, key), ForeignWord(key, (VERL,) if table == "val_kwargs" else (OPENRLHF, PRIME), key, EVALUATE))
        for table in ("val_kwargs", "eval")
        for key in ("temperature", "top_p", "max_new_tokens")
    ),
    (
        ("val_kwargs", "top_k"),
        ForeignWord("top_k", (VERL,), "", note="an evaluator draws with `temperature` and `top_p` alone"),
    ),
)
"""(table, key) -> a word that says what it means only in its table."""

KINDS = {"rollout": "sampler", "sampling": "sampler", "vllm": "sampler", "val_kwargs": "evaluator", "eval": "evaluator"}
"""Table -> the kind of ours that takes its keys: of a word with several homes, that of this kind is meant."""

TABLES = (
    ForeignTable("actor_rollout_ref", (VERL,)),
    ForeignTable("algorithm", (VERL,)),
    ForeignTable("algo", (OPENRLHF,)),
    ForeignTable("trainer", (VERL, PRIME)),
    ForeignTable("train", (OPENRLHF,)),
    ForeignTable("actor", (VERL, OPENRLHF)),
    ForeignTable("critic", (VERL, OPENRLHF)),
    ForeignTable("rollout", (VERL, OPENRLHF), "sampler"),
    ForeignTable("sampling", (PRIME,), "sampler"),
    ForeignTable("vllm", (OPENRLHF,), "sampler", "vllm"),
    ForeignTable("reward_model", (VERL,), "verifier"),
    ForeignTable("orchestrator", (PRIME,)),
    ForeignTable("inference", (PRIME,), "sampler"),
    ForeignTable("optim", (VERL, PRIME), "optimizer"),
    ForeignTable("scheduler", (PRIME,), "optimizer"),
    ForeignTable("ckpt", (PRIME, OPENRLHF), "checkpoint"),
    ForeignTable("ds", (OPENRLHF,), "distributed"),
    ForeignTable("deployment", (PRIME,), "distributed"),
    ForeignTable("eval", (PRIME, OPENRLHF), "evaluate"),
    ForeignTable("wandb", (PRIME,), "trackers", "wandb"),
    ForeignTable("logger", (OPENRLHF,), "trackers"),
    ForeignTable("training_args", (TRL,)),
    ForeignTable("grpo", (TRL,)),
)
"""Tables that stand for several of ours, or are called otherwise."""
