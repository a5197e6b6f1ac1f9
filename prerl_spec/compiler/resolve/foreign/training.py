"""Words for losses, optimizers and their schedules."""

from prerl_spec.compiler.resolve.foreign.word import (
    ENTROPY,
    KERAS,
    KL,
    OBJECTIVE,
    OPENRLHF,
    OPTIMIZER,
    PHASE,
    PRIME,
    SCHEDULE,
    TERMS,
    TOP_ENTROPY,
    TRL,
    VERL,
    ForeignWord,
)

_SHARE = "a share of all steps there, a number of steps here: the share times `steps`"
_EPOCHS = "epochs there, steps here: epochs × rows / prompts_per_step"
_AGGREGATION = '"token_mean", "sequence_mean" or "constant"'
_ADVANTAGE = "an objective has its advantage: `grpo`, `dr_grpo`, `rloo`, …; `policy_gradient` takes any"
_IN_REWARD = "it scales a KL inside the reward; here KL is a term of the loss, and the number another"

LOSSES = (
    ForeignWord(
        "beta",
        (TRL,),
        "coefficient",
        KL,
        'the same factor of the loss; TRL differentiates its KL through the ratio as well: `gradient = "ratio"`',
    ),
    ForeignWord("kl_coef", (VERL,), "coefficient", KL, _IN_REWARD),
    ForeignWord("init_kl_coef", (OPENRLHF,), "coefficient", KL, f"without use_kl_loss {_IN_REWARD}"),
    ForeignWord("kl_loss_coef", (VERL,), "coefficient", KL),
    ForeignWord("init_coef", (OPENRLHF,), "coefficient", KL, f"without use_loss {_IN_REWARD}"),
    ForeignWord("use_kl_loss", (VERL, OPENRLHF), 'use = "kl"', TERMS),
    ForeignWord("kl_loss_type", (VERL,), "estimator", KL, '"low_var_kl" is "k3", "mse" is "k2", "kl" is "k1"'),
    ForeignWord("kl_estimator", (OPENRLHF,), "estimator", KL, "OpenRLHF's is k1 unless set, ours k3"),
    ForeignWord("entropy_coeff", (VERL,), "coefficient", ENTROPY, "a positive number rewards entropy in both"),
    ForeignWord("entropy_coef", (TRL, OPENRLHF), "coefficient", ENTROPY, "a positive number rewards entropy in both"),
    ForeignWord("entropy_loss_coef", (OPENRLHF,), "coefficient", ENTROPY, "a positive number rewards entropy in both"),
    ForeignWord(
        "epsilon", (TRL,), "clip_low", OBJECTIVE, "TRL's `epsilon` bounds both sides: set `clip_high` to it as well"
    ),
    ForeignWord("epsilon_high", (TRL,), "clip_high", OBJECTIVE),
    ForeignWord("delta", (TRL,), "dual_clip", OBJECTIVE),
    ForeignWord("clip_ratio", (VERL,), "clip_low", OBJECTIVE, "it bounds both sides: set `clip_high` to it as well"),
    ForeignWord("clip_ratio_low", (VERL,), "clip_low", OBJECTIVE),
    ForeignWord("clip_ratio_high", (VERL,), "clip_high", OBJECTIVE),
    ForeignWord("clip_ratio_c", (VERL,), "dual_clip", OBJECTIVE, "verl's is 3 unless set, ours off"),
    ForeignWord("eps_clip", (OPENRLHF,), "clip_low", OBJECTIVE, "it bounds both sides: set `clip_high` to it as well"),
    ForeignWord("eps_clip_low_high", (OPENRLHF,), "clip_low", OBJECTIVE, "two numbers: `clip_low` and `clip_high`"),
    ForeignWord(
        "loss_type",
        (TRL,),
        "aggregation",
        OBJECTIVE,
        '"dapo" is "token_mean", "grpo" is "sequence_mean", "dr_grpo" is "constant"; "cispo" and "sapo" are objectives',
    ),
    ForeignWord(
        "loss_agg_mode",
        (VERL, OPENRLHF),
        "aggregation",
        OBJECTIVE,
        f"{_AGGREGATION}; verl's sums over tokens have no equal",
    ),
    ForeignWord(
        "loss_mode", (VERL,), "objective", PHASE, '"vanilla" is `grpo`; `gspo`, `cispo`, `sapo` have an objective each'
    ),
    ForeignWord("policy_loss_type", (OPENRLHF,), "objective", PHASE, '"ppo" is `grpo` or `ppo_clip`, "gspo" is `gspo`'),
    ForeignWord(
        "adv_estimator", (VERL,), "objective", PHASE, f'{_ADVANTAGE}. verl\'s "gae" needs a critic, which is not there'
    ),
    ForeignWord(
        "advantage_estimator", (OPENRLHF,), "objective", PHASE, f'{_ADVANTAGE}. OpenRLHF\'s "gae" needs a critic'
    ),
    ForeignWord(
        "scale_rewards",
        (TRL,),
        "advantage",
        OBJECTIVE,
        '"group" is `group_std`, "none" is `group_mean`, "batch" is `batch_std`, of a `policy_gradient`',
    ),
    ForeignWord(
        "norm_adv_by_std_in_grpo",
        (VERL,),
        "advantage",
        OBJECTIVE,
        "true is `group_std`, false is `group_mean`, of a `policy_gradient`",
    ),
    ForeignWord(
        "no_advantage_std_norm", (OPENRLHF,), "advantage", OBJECTIVE, "it is `group_mean` of a `policy_gradient`"
    ),
    ForeignWord("no_std_norm", (OPENRLHF,), "advantage", OBJECTIVE, "it is `group_mean` of a `policy_gradient`"),
    ForeignWord("importance_sampling_level", (TRL,), "objective", PHASE, '"sequence" is the objective `gspo`'),
    ForeignWord(
        "vllm_importance_sampling_correction",
        (TRL,),
        "importance",
        OBJECTIVE,
        "on by default in TRL where vLLM samples, off here",
    ),
    ForeignWord(
        "vllm_importance_sampling_mode",
        (TRL,),
        "importance",
        OBJECTIVE,
        "TRL weighs whole responses unless set, `importance` tokens; whole ones: `correction` of a `policy_gradient`",
    ),
    ForeignWord("vllm_importance_sampling_cap", (TRL,), "importance_cap", OBJECTIVE, "TRL's is 3 unless set, ours 2"),
    ForeignWord(
        "vllm_importance_sampling_clip_max", (TRL,), "importance_cap", OBJECTIVE, "TRL's is 3 unless set, ours 2"
    ),
    ForeignWord("is_correction_threshold", (OPENRLHF,), "importance_cap", OBJECTIVE),
    ForeignWord("rollout_is", (VERL,), "importance", OBJECTIVE, '"token" is "truncate"'),
    ForeignWord("rollout_is_threshold", (VERL,), "importance_cap", OBJECTIVE),
    ForeignWord("vllm_is_truncated_threshold", (OPENRLHF,), "importance_cap", OBJECTIVE),
    ForeignWord("top_entropy_quantile", (TRL,), "share", TOP_ENTROPY, "1 keeps every token in both"),
)
"""Words for objectives and their terms."""

OPTIMIZERS = (
    ForeignWord("learning_rate", (TRL,), "lr", OPTIMIZER),
    ForeignWord("actor_learning_rate", (OPENRLHF,), "lr", OPTIMIZER),
    ForeignWord(
        "lr_scheduler_type", (TRL, VERL), "lr_schedule", OPTIMIZER, 'TRL\'s is "linear" unless set, ours "constant"'
    ),
    ForeignWord("lr_scheduler", (OPENRLHF,), "lr_schedule", OPTIMIZER),
    ForeignWord("lr_scheduler_kwargs", (TRL,), "final_lr_fraction", OPTIMIZER),
    ForeignWord("warmup_style", (VERL,), "lr_schedule", OPTIMIZER),
    ForeignWord("warmup_ratio", (TRL,), "warmup_steps", OPTIMIZER, _SHARE),
    ForeignWord("lr_warmup_steps_ratio", (VERL,), "warmup_steps", OPTIMIZER, _SHARE),
    ForeignWord("lr_warmup_ratio", (OPENRLHF,), "warmup_steps", OPTIMIZER, _SHARE),
    ForeignWord("lr_warmup_steps", (VERL,), "warmup_steps", OPTIMIZER, "verl counts updates, ours steps"),
    ForeignWord("min_lr_ratio", (VERL,), "final_lr_fraction", OPTIMIZER),
    ForeignWord("min_lr", (PRIME,), "final_lr_fraction", OPTIMIZER, "a learning rate there, a fraction of `lr` here"),
    ForeignWord("adam_beta1", (TRL,), "betas", OPTIMIZER, "both numbers in a list: [0.9, 0.999]"),
    ForeignWord("adam_beta2", (TRL,), "betas", OPTIMIZER, "both numbers in a list: [0.9, 0.999]"),
    ForeignWord("betas1", (PRIME,), "betas", OPTIMIZER, "both numbers in a list: [0.9, 0.999]"),
    ForeignWord("betas2", (PRIME,), "betas", OPTIMIZER, "both numbers in a list: [0.9, 0.999]"),
    ForeignWord("adam_betas", (OPENRLHF,), "betas", OPTIMIZER),
    ForeignWord("beta_1", (KERAS,), "betas", OPTIMIZER, "both numbers in a list: [0.9, 0.999]"),
    ForeignWord("beta_2", (KERAS,), "betas", OPTIMIZER, "both numbers in a list: [0.9, 0.999]"),
    ForeignWord("adam_epsilon", (TRL,), "eps", OPTIMIZER),
    ForeignWord("epsilon", (KERAS,), "eps", OPTIMIZER, "Keras's is 1e-7 unless set, ours 1e-8"),
    ForeignWord(
        "clipnorm",
        (KERAS,),
        "max_grad_norm",
        OPTIMIZER,
        "a norm of each tensor there, of all together here",
    ),
    ForeignWord("grad_clip", (VERL,), "max_grad_norm", OPTIMIZER),
    ForeignWord("clip_grad", (VERL,), "max_grad_norm", OPTIMIZER),
    ForeignWord("max_norm", (PRIME, OPENRLHF), "max_grad_norm", OPTIMIZER),
    ForeignWord("l2", (OPENRLHF,), "weight_decay", OPTIMIZER),
    ForeignWord("optim", (TRL,), "use", OPTIMIZER, '"adamw_torch", TRL\'s unless set, is "adamw"'),
)
"""Words for the optimizer and its learning rate."""

SCHEDULES = (
    ForeignWord(
        "max_steps",
        (TRL, PRIME),
        "steps",
        SCHEDULE,
        "TRL counts optimizer updates, ours steps of updates_per_batch each",
    ),
    ForeignWord("total_training_steps", (VERL,), "steps", SCHEDULE),
    ForeignWord("num_train_epochs", (TRL,), "steps", SCHEDULE, _EPOCHS),
    ForeignWord("total_epochs", (VERL,), "steps", SCHEDULE, _EPOCHS),
    ForeignWord("num_episodes", (OPENRLHF,), "steps", SCHEDULE, _EPOCHS),
    ForeignWord(
        "sync_ref_model",
        (TRL,),
        "reference",
        SCHEDULE,
        'at a phase\'s end: "resync"; TRL mixes the weights every few steps',
    ),
)
"""Words for how long training lasts."""
