# ruff: noqa: E501
"""Good specs: each sentence of the language with texts that it allows, in which nothing may be found, not even a warning."""

from tests.language.composed import CHILD
from tests.language.marked import Marked
from tests.language.specs import LONG, SCORED, SHORT, long, short

DOCUMENTS = (
    (
        'prompts_per_step = 8\nobjective = "grpo"',
        'documents_per_step = 8\nobjective = { use = "next_token", scope = "all" }',
    ),
    ('sampler = { use = "transformers", group_size = 4 }\nverifier = "math_verify"\n', ""),
)
UPDATES = ("prompts_per_step = 8", "prompts_per_step = 8\nupdates_per_batch = 4")


def model(settings: str) -> str:
    return short(('use = "hf_causal", name = "m"', settings))


def objective(settings: str, *edits: tuple[str, str]) -> str:
    return short(('"grpo"', f"{{ {settings} }}"), *edits)


def rows(settings: str) -> str:
    return short(('use = "jsonl", path = "t.jsonl"', settings))


def sampler(settings: str) -> str:
    return short(('use = "transformers", group_size = 4', settings))


def optimizer(settings: str) -> str:
    return short(('use = "adamw", lr = 1e-6', settings))


def schedule(settings: str) -> str:
    return short(('use = "fixed_steps", steps = 3', settings))


def top(text: str) -> str:
    return short(("run.name", f"{text}\nrun.name"))


# fmt: off
TEXTS = {
    "TOML: line ends, marks, comments, quotes, dotted and quoted keys": [
        SHORT, LONG, SHORT.replace("\n", "\r\n"), "\ufeff" + LONG.replace("\n", "\r\n"), "#:schema ./.prerl/spec.schema.json\n" + SHORT, "\n\n  \n" + SHORT.rstrip("\n"),
        short(("run.name = ", "run . name = ")), short(("run.name", "\"run\".'name'")), short(('use = "transformers"', '"use" = "transformers"')), short(('"grpo"', "'''grpo'''")),
        short(('path = "t.jsonl"', 'path = """\nt.jsonl"""')), short(("group_size = 4", 'stop = ["a", "b",\n  # c\n  "c",\n]')), long(("[model]", "[ model ]")), short(("[[phases]]", "[[ phases ]]")),
        short(("lr = 1e-6", "lr = 1_0.0_1e-0_6")), short(("steps = 3", "steps = 0x10")), short(("steps = 3", "steps = +3")), short(("lr = 1e-6", "lr = 1")),
        short(('path = "t.jsonl"', 'path = "t.jsonl", system = "\\u00e9\\t\\U0001F600"')), short(('"math_verify"', '"math_verify" # a comment with "quotes" and [brackets')),
    ],
    "A component: a table with `use`, or the string alone; `from`, `@`": [
        short(('"math_verify"', '{ use = "math_verify" }')), short(('"math_verify"', '"math_verify@1"')), short(('"grpo"', '{ use = "grpo", from = "prerl-spec" }')), short(('objective = "grpo"', 'objective.use = "grpo"\nobjective.coefficient = 2')),
        model('use = "hf_causal", name = "m", adapter = "lora"'), model('use = "hf_causal", name = "m", adapter = { use = "lora", rank = 8, alpha = 1, targets = ["q_proj"], dropout = 0.0 }'),
        long(('[phases.objective]\nuse = "grpo"', '[phases.objective]\nuse = "weighted_sum"\n[[phases.objective.terms]]\nuse = "grpo"\n[[phases.objective.terms]]\nuse = "entropy"\ncoefficient = 0.01')),
    ],
    "Models and data": [
        model('use = "hf_causal", name = "m", revision = "0123456789012345678901234567890123456789", dtype = "float16", tokenizer = "t", load = { any = 1 }'), model('use = "from_scratch", config = { model_type = "qwen3", use = 3 }, tokenizer = "t"'),
        model('use = "from_scratch", config = { model_type = "qwen3" }, tokenizer = "data:train"').replace('use = "jsonl", path = "t.jsonl"', 'use = "arithmetic_chains"'),
        rows('use = "jsonl", path = "t.jsonl", extract = "after:####", template = "{{ question }}", chat = "off", on_bad_row = "drop", over_long = "drop", max_prompt_tokens = 9'), rows('use = "jsonl", path = "p", chat = { enable_thinking = false, other = [1, { a = 2 }] }'),
        rows('use = "hf_dataset", path = "o/g", name = "main", split = "train", revision = "v1"'), rows('use = "arithmetic_chains", part = "hard", seed = 0, steps = [3, 3]'), short(('{ use = "jsonl", path = "t.jsonl" }', '"arithmetic_chains"')),
        short(('verifier = "math_verify"\n', ""), ('path = "t.jsonl"', 'path = "t.jsonl", verifier = "math_verify"')), short(("data.train", 'data."my set"'), ('id = "a"', 'id = "a"\ndata = "my set"')),
    ],
    "A mixture": [short(("data.train =", 'data.code = { use = "jsonl", path = "c" }\ndata.math ='), ('id = "a"', 'id = "a"\ndata = { math = 7, code = 0.3 }')), short(('id = "a"', 'id = "a"\ndata.train = 1'))],
    "Samplers, verifiers, optimizers, schedules": [
        sampler('use = "vllm", engine = { gpu_memory_utilization = 0.5, x = { use = "y" } }, max_gap = 0.2'), sampler('use = "vllm_server", urls = ["http://a"], key = "${secret:KEY}", push_dir = "p"'), sampler('use = "transformers", top_p = 0.9, top_k = 20'),
        short(('verifier = "math_verify"', 'verifier = { use = "exact_match", extract = "whole", ignore_case = true }')),
        optimizer('use = "adamw", lr = 1, betas = [0, 0.5], eps = 1, weight_decay = 0, max_grad_norm = 2, lr_schedule = "cosine", final_lr_fraction = 0, warmup_steps = 0'), optimizer('use = "muon", lr = 1, momentum = 0.9, adamw_lr = 1, betas = [0.1, 0.2], eps = 1e-9'),
        schedule('use = "until_plateau", metric = "reward_mean", patience = 3, steps = 10'), schedule('use = "reincarnate_after", tokens = 300'), short(('{ use = "fixed_steps", steps = 3 }', '"reincarnate_after"')),
        long(("steps = 20", 'steps = 20\noptimizer = "carry"\nlr_schedule = "carry"\nreference = "keep"\ndata = "restart"')), long(('id = "refine"', 'id = "refine"\nafter = "prune"')),
    ],
    "Objectives": [
        objective('use = "grpo", coefficient = 2, aggregation = "constant", importance = "truncate", importance_cap = 3, unparsable = "mask"'), objective('use = "grpo", clip_low = 0, clip_high = 0.3, dual_clip = "off"', UPDATES),
        objective('use = "marginal_pg", advantage = "minus_one", center = "group", prefix = "auto"'), objective('use = "marginal_nsr", advantage = "minus_one"', ("group_size = 4", "group_size = 1")),
        objective('use = "marginal_nsr", clip_low = 0.2, dual_clip = 10', UPDATES), objective('use = "marginal_psr", clip_high = 0.2', UPDATES), objective('use = "marginal_nsr", center = "group", clip_high = 0.2', UPDATES),
        objective('use = "weighted_sum", terms = [{ use = "grpo" }, { use = "kl", coefficient = 0.1, estimator = "k1" }, "entropy"]'), objective('use = "weighted_sum", terms = ["grpo", "kl"]', ("run.name", 'reference = "initial"\nrun.name')), short(*DOCUMENTS),
    ],
    "Rewards and filters": [
        top('rewards = [{ use = "overlong_penalty", buffer = 256 }, { use = "format_bonus", weight = 1 }, { use = "length_penalty", weight = 0.1, name = "brevity" }]'),
        top('rewards = [{ use = "overlong_penalty", buffer = 256, weight = 2, name = "soft" }, { use = "overlong_penalty", buffer = 16 }]'),
        top('filters = ["drop_truncated", { use = "max_length", tokens = 1023 }, { use = "difficulty_band", low = 0, high = 1 }, { use = "reward_spread", least = 0.1 }, { use = "mixed_groups", refill_rounds = 2 }]'),
        short(('id = "a"', 'id = "a"\nrewards = [{ use = "format_bonus@1", weight = 0.1 }]\nfilters = ["drop_truncated"]')),
    ],
    "Evaluation-only specs": [
        SCORED + 'evaluate = [{ use = "lm_eval", tasks = ["a"] }]\n', SCORED + 'verifier = "math_verify"\ndata.h = { use = "jsonl", path = "h" }\nevaluate = [{ use = "holdout", data = "h", at = ["base", "end"], every = "off", limit = 3 }]\n',
        SCORED + 'evaluate = [{ use = "lm_eval", tasks = ["a"], temperature = 0, top_p = 0.5, seed = 0, include = ["d"], data = { a = "l.jsonl" }, system = "s", chat = "off", num_fewshot = 0 }]\n',
    ],
    "The other tables": [
        top('distributed = { processes = 2, strategy = "fsdp2", precision = "float16", activation_checkpointing = true, fsdp = { x = 1 } }\ncheckpoint = { every = 5, keep = 1 }'), top('start.from = "r@a"'), top('requires = { prerl-spec = ">=0.1", "pydantic" = ">=2" }'),
        top('probes = ["response_length", { use = "thoughts", rules = "seal", every = 2 }]\ntrackers = ["tensorboard", { use = "wandb", project = "p", mode = "online" }]\nfilters = [{ use = "mixed_groups", refill_rounds = 3 }]'),
        top('study = { seeds = [0, 1], arms = { base = {}, hi = { optimizer = { lr = 1e-5 } } }, match = "steps", budget = 300, primary = "lm_eval/gsm8k/exact_match,strict-match", prior_sd = 0.02 }'), LONG + '[study]\nseeds = [0]\n[[study.arms.more.phases]]\nid = "prune"\nprompts_per_step = 64\n',
    ],
    "References": [
        short(("lr = 1e-6", 'lr = "${vars.lr}"'), ('run.name = "x"', 'run.name = "x-${vars.n}"\nvars = { lr = 1e-6, n = 3 }')), short(("lr = 1e-6", 'lr = "${vars.a.b[1]}"'), ("run.name", "vars.a.b = [1, 1e-6]\nrun.name")),
        short(("lr = 1e-6", 'lr = "${env:PRERL_SPEC_NOT_SET:-1e-6}"')), short(('path = "t.jsonl"', 'path = "${env:HOME}/t.jsonl", system = "cost $${x} ${env:PRERL_SPEC_NOT_SET:-}"')),
        short(("steps = 3", 'steps = "${phases[0].prompts_per_step}"')), short(("steps = 3", 'steps = "${phases.a.prompts_per_step}"')), top('study = { seeds = [0], arms = { hi = { vars = { lr = 2 } } } }\nvars.lr = 1').replace("lr = 1e-6", 'lr = "${vars.lr}"'),
    ],
}

COMPOSED = {
    "extends, overlays, unset": [
        Marked(CHILD + "[optimizer]\nlr = 2e-6\n", {"base.toml": SHORT}), Marked(CHILD + "[verifier]\nworkers = 2\n", {"base.toml": SHORT}), Marked(CHILD + '[[phases]]\nid = "a"\nprompts_per_step = 16\n', {"base.toml": SHORT}),
        Marked(CHILD + 'unset = ["sampler.group_size"]\n', {"base.toml": SHORT}), Marked(CHILD + 'unset = ["phases.prune"]\n', {"base.toml": LONG}), Marked(CHILD + 'unset = ["phases[0]", "evaluate[1]", "data.heldout"]\n', {"base.toml": LONG}),
        Marked(CHILD + 'optimizer = { use = "adamw", lr = 1 }\n', {"base.toml": short(("lr = 1e-6", 'lr = "bad", bogus = 3'))}), Marked(CHILD, {"base.toml": SHORT.removeprefix("spec = 1\n")}),
        Marked('extends = ["sub/b.toml"]\nspec = 1\n', {"sub/b.toml": 'extends = ["c.toml"]\n' + SHORT, "sub/c.toml": "run.seed = 3\n"}),
        Marked('extends = ["a.toml", "b.toml"]\nspec = 1\n', {"a.toml": 'extends = ["c.toml"]\n', "b.toml": 'extends = ["c.toml"]\n', "c.toml": SHORT}), Marked(SHORT, {"over.toml": "run.seed = 5\n"}, overlays=("over.toml",)),
        Marked(top('study = { seeds = [0], arms = { hi = "hi.toml" } }'), {"hi.toml": "optimizer.lr = 1e-5\n"}),
    ],
    "--set, --unset": [
        Marked(SHORT, sets=("optimizer.lr=2e-6", "phases.a.objective.coefficient=0.5", "phases[0].prompts_per_step=4", "run.name=foo-bar", 'sampler.use="vllm"')), Marked(SHORT, sets=("verifier.workers=2", "sampler.temperature=0.5", "run.seed=3")), Marked(SHORT, unsets=("sampler.group_size",)),
    ],
}
# fmt: on

CASES = [
    *((sentence, Marked(text)) for sentence, texts in TEXTS.items() for text in texts),
    *((sentence, case) for sentence, cases in COMPOSED.items() for case in cases),
]
