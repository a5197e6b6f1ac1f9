"""Words for batches, sampling and data. Units are what differs most: completions, prompts, rollouts, tokens."""

from dataclasses import replace

from prerl_spec.compiler.resolve.foreign.word import (
    DATA,
    ENGINE,
    EVALUATE,
    FILTERS,
    HARNESS,
    HF,
    HOLDOUT,
    LM_EVAL,
    OBJECTIVE,
    OPENRLHF,
    OVERLONG,
    PHASE,
    PRIME,
    REWARDS,
    SAMPLER,
    TRL,
    VERIFIER,
    VERL,
    VLLM,
    ForeignWord,
)

_ENGINE = "settings of the engine are passed through in `engine`, in its own words"

SAMPLING = (
    ForeignWord("num_generations", (TRL,), "group_size", SAMPLER),
    ForeignWord("n", (VERL,), "group_size", SAMPLER, "verl's is 1 unless set, ours 8"),
    ForeignWord("n_samples_per_prompt", (OPENRLHF,), "group_size", SAMPLER, "OpenRLHF's is 1 unless set, ours 8"),
    ForeignWord("rollouts_per_example", (PRIME,), "group_size", SAMPLER, "prime-rl's is 1 unless set, ours 8"),
    ForeignWord("num_return_sequences", (HF,), "group_size", SAMPLER),
    ForeignWord("max_completion_length", (TRL,), "max_new_tokens", SAMPLER, "TRL's is 512 unless set, ours 1024"),
    ForeignWord("max_response_length", (VERL,), "max_new_tokens", SAMPLER, "verl's is 512 unless set, ours 1024"),
    ForeignWord("response_length", (VERL,), "max_new_tokens", SAMPLER, "verl's is 512 unless set, ours 1024"),
    ForeignWord("generate_max_len", (OPENRLHF,), "max_new_tokens", SAMPLER),
    ForeignWord("max_tokens", (VLLM, PRIME), "max_new_tokens", SAMPLER, "vLLM's is 16 unless set, ours 1024"),
    ForeignWord(
        "max_completion_tokens",
        (PRIME,),
        "max_new_tokens",
        SAMPLER,
        "unset it is bounded by the context alone there; here it is 1024 unless set",
    ),
    ForeignWord(
        "max_length", (HF,), "max_new_tokens", SAMPLER, "it counts the prompt as well, ours the response alone"
    ),
    ForeignWord("stop_strings", (HF,), "stop", SAMPLER),
    ForeignWord("use_vllm", (TRL,), 'use = "vllm"', SAMPLER),
    ForeignWord(
        "vllm_mode", (TRL,), 'use = "vllm"', SAMPLER, '"colocate" is `use = "vllm"`, "server" is `use = "vllm_server"`'
    ),
    ForeignWord("vllm_gpu_memory_utilization", (TRL, OPENRLHF), "engine", ENGINE, _ENGINE),
    ForeignWord("gpu_memory_utilization", (VLLM, VERL), "engine", ENGINE, _ENGINE),
    ForeignWord("tensor_model_parallel_size", (VERL,), "engine", ENGINE, f"{_ENGINE}: vLLM's is tensor_parallel_size"),
    ForeignWord("vllm_tensor_parallel_size", (TRL, OPENRLHF), "engine", ENGINE, f"{_ENGINE}: tensor_parallel_size"),
    ForeignWord(
        "generation_kwargs", (TRL,), "engine", ENGINE, "temperature, top_p, top_k and stop are keys of their own"
    ),
    ForeignWord("overlong_buffer_len", (OPENRLHF,), "buffer", OVERLONG),
    ForeignWord("overlong_penalty_factor", (OPENRLHF,), "weight", OVERLONG),
    ForeignWord("dynamic_filtering", (OPENRLHF,), 'use = "mixed_groups"', FILTERS),
    ForeignWord(
        "filter_groups", (VERL,), 'use = "mixed_groups"', FILTERS, "its max_num_gen_batches is `refill_rounds` + 1"
    ),
    ForeignWord(
        "mask_truncated_completions",
        (TRL,),
        'unparsable = "mask"',
        OBJECTIVE,
        "it also masks responses without a parsable answer; both stay in their group's mean, as in TRL",
    ),
)
"""Words for sampling and for what becomes of samples."""

BATCHES = (
    ForeignWord(
        "per_device_train_batch_size",
        (TRL,),
        "prompts_per_step",
        PHASE,
        "it counts the completions of one device and one accumulation step, ours the prompts of a whole step: times devices "
        "and accumulation steps, divided by num_generations",
    ),
    ForeignWord(
        "generation_batch_size",
        (TRL,),
        "prompts_per_step",
        PHASE,
        "it counts completions, ours prompts: divide it by num_generations",
    ),
    ForeignWord(
        "train_batch_size",
        (VERL, OPENRLHF),
        "prompts_per_step",
        PHASE,
        "verl's counts prompts, as ours; OpenRLHF's the samples of one update: updates_per_batch = rollout_batch_size × "
        "n_samples_per_prompt / train_batch_size",
    ),
    ForeignWord("rollout_batch_size", (OPENRLHF,), "prompts_per_step", PHASE),
    ForeignWord(
        "batch_size",
        (PRIME, OPENRLHF),
        "prompts_per_step",
        PHASE,
        "prime-rl counts rollouts: divide by the group size; OpenRLHF's rollout.batch_size counts prompts, as ours, its "
        "train.batch_size the samples of an update",
    ),
    ForeignWord(
        "gradient_accumulation_steps",
        (TRL,),
        "",
        note="leave it out: prompts_per_step alone sets the batch, and `plan` splits a step into passes by tokens",
    ),
    ForeignWord(
        "steps_per_generation",
        (TRL,),
        "updates_per_batch",
        PHASE,
        "it counts passes, ours optimizer updates: divide it by gradient_accumulation_steps",
    ),
    ForeignWord(
        "ppo_mini_batch_size",
        (VERL,),
        "updates_per_batch",
        PHASE,
        "it counts the prompts of an update, ours the updates of a batch: train_batch_size / ppo_mini_batch_size",
    ),
    ForeignWord("ppo_max_token_len_per_gpu", (VERL,), "tokens_per_pass", PHASE),
    ForeignWord("train_max_tokens_per_gpu", (OPENRLHF,), "tokens_per_pass", PHASE),
    ForeignWord(
        "seq_len",
        (PRIME,),
        "tokens_per_pass",
        PHASE,
        "prime-rl cuts longer samples to it; here no sample is cut, max_new_tokens bounds them",
    ),
    ForeignWord(
        "num_iterations",
        (TRL,),
        "",
        note="each batch is trained on once: updates_per_batch splits it, and repeats nothing",
    ),
    ForeignWord(
        "ppo_epochs",
        (VERL,),
        "",
        note="each batch is trained on once: updates_per_batch splits it, and repeats nothing",
    ),
    ForeignWord(
        "max_epochs",
        (OPENRLHF,),
        "",
        note="each batch is trained on once: updates_per_batch splits it, and repeats nothing",
    ),
)
"""Words for the size of a step and how it is split."""

DATASETS = (
    ForeignWord(
        "max_prompt_length",
        (VERL,),
        "max_prompt_tokens",
        DATA,
        'a longer prompt is an error here, unless over_long = "drop"',
    ),
    ForeignWord("prompt_max_len", (OPENRLHF,), "max_prompt_tokens", DATA),
    ForeignWord(
        "prompt_key",
        (VERL,),
        "question",
        DATA,
        "a column with the question's text; the chat around it is rendered here",
    ),
    ForeignWord("input_key", (OPENRLHF,), "question", DATA),
    ForeignWord("label_key", (OPENRLHF,), "answer", DATA),
    ForeignWord(
        "train_files", (VERL,), "path", DATA, 'one file of JSON Lines, or with `use = "hf_dataset"` a name on the hub'
    ),
    ForeignWord(
        "val_files",
        (VERL,),
        "data",
        HOLDOUT,
        "the name of a data set; a benchmark is a task of `lm_eval`",
    ),
    ForeignWord("filter_overlong_prompts", (VERL,), 'over_long = "drop"', DATA, "with `max_prompt_tokens`"),
    ForeignWord(
        "truncation", (VERL,), "over_long", DATA, 'with `max_prompt_tokens`: "error" or "drop"; no prompt is cut'
    ),
    ForeignWord("reward_fn_key", (VERL,), "verifier", DATA, "each data set may have a verifier of its own"),
    ForeignWord("prompt_split", (OPENRLHF,), "split", DATA, 'with `use = "hf_dataset"`'),
    ForeignWord("prompt_dataset", (OPENRLHF,), "path", DATA),
    ForeignWord("prompt_data", (OPENRLHF,), "path", DATA),
    ForeignWord("dataset_name", (TRL,), "path", DATA, 'with `use = "hf_dataset"`; TRL\'s dataset_config is `name`'),
    ForeignWord("dataset_config", (TRL,), "name", DATA, 'with `use = "hf_dataset"`'),
    ForeignWord("dataset_train_split", (TRL,), "split", DATA, 'with `use = "hf_dataset"`'),
    ForeignWord("system_prompt", (TRL, PRIME), "system", DATA),
    ForeignWord("apply_chat_template", (OPENRLHF,), "chat", DATA, 'the template is applied unless chat = "off"'),
    ForeignWord("chat_template_kwargs", (TRL,), "chat", DATA),
    ForeignWord("apply_chat_template_kwargs", (VERL,), "chat", DATA),
    ForeignWord(
        "reward_funcs", (TRL,), "use", VERIFIER, "what judges is the verifier; terms that are added are `[[rewards]]`"
    ),
    ForeignWord("reward_weights", (TRL,), "weight", REWARDS, "one number a reward"),
    ForeignWord(
        "custom_reward_function",
        (VERL,),
        "use",
        VERIFIER,
        "a function of yours is a component: `prerl-spec plugin new`",
    ),
    ForeignWord(
        "remote_rm_url", (OPENRLHF,), "use", VERIFIER, "a function of yours is a component: `prerl-spec plugin new`"
    ),
    ForeignWord("eval_n_samples_per_prompt", (OPENRLHF,), "samples", EVALUATE),
    ForeignWord("num_generations_eval", (TRL,), "samples", EVALUATE),
)
"""Words for rows, prompts and rewards."""

_EVALUATORS_KEY = {
    "group_size": ("samples", EVALUATE),
    "max_new_tokens": ("max_new_tokens", EVALUATE),
    "system": ("system", HARNESS),
    "chat": ("chat", HARNESS),
}
"""Key of a sampler or a data set -> what an evaluator calls it, and which one."""

EVALUATIONS = (
    *(
        replace(
            word,
            ours=_EVALUATORS_KEY[word.ours][0],
            home=_EVALUATORS_KEY[word.ours][1],
            note="" if "unless set" in word.note else word.note,  # an evaluator has defaults of its own
        )
        for word in (*SAMPLING, *DATASETS)
        if word.ours in _EVALUATORS_KEY
    ),
    ForeignWord("max_gen_toks", (LM_EVAL,), "max_new_tokens", EVALUATE),
    ForeignWord("repeats", (LM_EVAL,), "samples", EVALUATE),
    ForeignWord("system_instruction", (LM_EVAL,), "system", HARNESS),
    ForeignWord("do_sample", (HF, VERL), "temperature", EVALUATE, "false is 0, which is greedy"),
    ForeignWord(
        "gen_kwargs",
        (LM_EVAL,),
        "temperature",
        EVALUATE,
        "`temperature`, `top_p` and `max_new_tokens` are keys of their own",
    ),
    ForeignWord("eval_temperature", (OPENRLHF,), "temperature", EVALUATE),
    ForeignWord("eval_on_start", (TRL,), "at", EVALUATE, 'true is "base" among its moments'),
    ForeignWord("eval_at_start", (OPENRLHF,), "at", EVALUATE, 'true is "base" among its moments'),
    ForeignWord("val_max_samples", (VERL,), "limit", EVALUATE, "-1, verl's default, is all rows: leave it out"),
    ForeignWord("batch_size", (LM_EVAL,), "", EVALUATE, "an evaluator has no batch size to set"),
)
"""Words for evaluators: those that a sampler or a data set knows as well, and their own."""
