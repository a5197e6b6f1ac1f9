"""The table: each row bends a spec that could start, and says how `run` and `plan --here` end and what both say.

A row's `why` is a line of docs/refusals.md.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.compiler.past_runs.run_folder import LOCK
from prerl_spec.testing.tiny import save_tiny

SPEC = """spec = 1
run = {{ name = "refused", output_dir = "{folder}/runs" }}
model = {{ use = "hf_causal", name = "{folder}/tiny" }}
sampler = {{ use = "transformers", group_size = 4, max_new_tokens = 16 }}
verifier = "exact_match"
optimizer = {{ use = "adamw", lr = 1e-5 }}
data.train = {{ use = "jsonl", path = "rows.jsonl", chat = "off" }}

[[phases]]
id = "prune"
prompts_per_step = 4
objective = "marginal_nsr"
schedule = {{ use = "fixed_steps", steps = 1 }}
"""
ROWS = [{"question": f"{n}+1?", "answer": str(n + 1)} for n in range(8)]


class Case:
    """A folder with a spec, its rows and a tiny model, to be bent by a row of the table."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.patch = patch
        self.spec = folder / "spec.toml"
        self.text = SPEC.format(folder=folder)
        self.arguments: list[str] = []
        """Of both commands."""
        self.held: list[Any] = []
        """What must stay open meanwhile."""

    @property
    def model(self) -> Path:
        return self.folder / "tiny"

    def replace(self, old: str, new: str) -> None:
        assert old in self.text, old
        self.text = self.text.replace(old, new)

    def add(self, text: str) -> None:
        self.text += text

    def rows(self, *rows: object) -> None:
        text = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
        (self.folder / "rows.jsonl").write_text(text)

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def config(self, name: str, **settings: object) -> None:
        """Changes settings of a JSON file of the model; None removes one."""
        file = self.model / name
        value = {**json.loads(file.read_text()), **settings}
        file.write_text(json.dumps({k: v for k, v in value.items() if v is not None}))


@dataclass(frozen=True)
class Refusal:
    """`what` is refused, with the exit code of `run`; `says` is in the words of both commands: a need's or a diagnostic's."""

    what: str
    code: int
    says: str
    bend: Callable[[Case], None]
    loads_a_model: bool = False
    """Whether `run` loads the model before it refuses, as a row that is not among the default tests does."""


TABLE: list[Refusal] = []


def refused(
    what: str, code: int, says: str, *, loads_a_model: bool = False
) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    def register(bend: Callable[[Case], None]) -> Callable[[Case], None]:
        TABLE.append(Refusal(what, code, says, bend, loads_a_model))
        return bend

    return register


EVALUATE = '\n[[evaluate]]\nuse = "lm_eval"\n'


# Names and numbers of the spec.


@refused("a task that nobody defines", 2, "did you mean `gsm8k`")
def _(case: Case) -> None:
    case.add(f'{EVALUATE}tasks = ["gsm9k"]\n')


@refused("responses as long as the model's context", 3, "length max_new_tokens = 500 (for sampler): phase `prune` may")
def _(case: Case) -> None:
    case.config("config.json", max_position_embeddings=128)
    case.replace("max_new_tokens = 16", "max_new_tokens = 500")


@refused("an evaluator's responses as long as the context", 3, "length max_new_tokens = 4096 (for evaluate[0])")
def _(case: Case) -> None:
    case.add('\n[[evaluate]]\nuse = "holdout"\ndata = "train"\nmax_new_tokens = 4096\n')


@refused(
    "a protocol's responses as long as the context", 3, "`aime24_boxed` under protocol open-r1 may sample 32,768 new"
)
def _(case: Case) -> None:
    rows = case.file("asked.jsonl", '{"problem": "1+1?", "answer": "2"}\n')
    case.add(f'{EVALUATE}tasks = ["aime24_boxed"]\ndata = {{ aime24_boxed = "{rows}" }}\nprotocol = "open-r1"\n')


@refused(
    "an evaluator's responses, as long as the sampler says, as long as the context",
    3,
    "length max_new_tokens = 600 (for evaluate[0]): `math500_boxed`, of which no length is written, may sample 600 new",
)
def _(case: Case) -> None:
    rows = case.file("asked.jsonl", '{"problem": "1+1?", "answer": "2"}\n')
    case.replace("max_new_tokens = 16", "max_new_tokens = 600")
    case.text = "\n".join(line for line in case.text.partition("[[phases]]")[0].splitlines() if "optimizer" not in line)
    case.add(f'{EVALUATE}tasks = ["math500_boxed"]\ndata = {{ math500_boxed = "{rows}" }}\n')


@refused("a component that nobody provides", 1, "error[E0301]: unknown objective `acme.fancy_nsr`")
def _(case: Case) -> None:
    case.replace('"marginal_nsr"', '"acme.fancy_nsr"')


@refused("a distribution that `[requires]` names", 3, "error[E0503]")
def _(case: Case) -> None:
    case.add('\n[requires]\nprerl-acme = ">=1"\n')


@refused("Python files without --local-code", 3, "error[E0304]")
def _(case: Case) -> None:
    case.file("mine.py", "")
    case.add('\n[plugins]\nfiles = ["mine.py"]\n')


@refused("a Python file that fails", 3, "error[E0304]")
def _(case: Case) -> None:
    case.file("mine.py", "1 / 0\n")
    case.add('\n[plugins]\nfiles = ["mine.py"]\n')
    case.arguments.append("--local-code")


@refused("an entry of `load` that the run decides", 3, "setting load.dtype (for model)")
def _(case: Case) -> None:
    case.replace('use = "hf_causal"', 'use = "hf_causal", load = { dtype = "float16" }')


@refused("an entry of `fsdp` that sharding does not take", 3, "setting distributed.fsdp.cpu_offload")
def _(case: Case) -> None:
    case.add('\n[distributed]\nprocesses = 2\nstrategy = "fsdp2"\nfsdp = { cpu_offload = true }\n')


@refused("invariant results with shards", 3, "part invariant shards (fsdp2)")
def _(case: Case) -> None:
    case.add('\n[distributed]\nstrategy = "fsdp2"\ndeterminism = "invariant"\n')


@refused(
    "a metric that nothing gives",
    1,
    "error[E0207]: metric: nothing gives phase `prune` a metric or a score `reward_men`",
)
def _(case: Case) -> None:
    case.replace('"fixed_steps", steps = 1', '"until_plateau", metric = "reward_men", patience = 1, steps = 1')


@refused("a score that no evaluator gives", 1, "did you mean `train/avg@1`?")
def _(case: Case) -> None:
    case.add('\n[[evaluate]]\nuse = "holdout"\ndata = "train"\nevery = 1\n')
    case.replace('"fixed_steps", steps = 1', '"until_plateau", metric = "train/avg@2", patience = 1, steps = 1')


@refused(
    "a score that is measured when the phase has ended", 1, "`train/avg@1` is not measured before phase `prune` ends"
)
def _(case: Case) -> None:
    case.add('\n[[evaluate]]\nuse = "holdout"\ndata = "train"\nat = ["end"]\n')
    case.replace('"fixed_steps", steps = 1', '"until_plateau", metric = "train/avg@1", patience = 1, steps = 2')


# Models and tokenizers.


@refused("a model folder that is not there", 3, "no folder is there, and it cannot be a name on the hub")
def _(case: Case) -> None:
    case.replace(f"{case.folder}/tiny", f"{case.folder}/nothing")


@refused("a model of the hub, offline", 3, "model nobody/nothing (for model): not in the local hub cache")
def _(case: Case) -> None:
    case.patch.setenv("HF_HUB_OFFLINE", "1")
    case.replace(f"{case.folder}/tiny", "nobody/nothing")


@refused("a model folder without a tokenizer", 3, "it has no tokenizer (no tokenizer.json)")
def _(case: Case) -> None:
    for file in case.model.glob("*token*"):
        file.unlink()


@refused("a model folder whose tokenizer is damaged", 3, "tokenizer.json is not a JSON object")
def _(case: Case) -> None:
    (case.model / "tokenizer.json").write_text("{")


@refused("a model folder without a configuration", 3, "it has no config.json")
def _(case: Case) -> None:
    (case.model / "config.json").unlink()


@refused("a model folder without weights", 3, "it has no *.safetensors")
def _(case: Case) -> None:
    (case.model / "model.safetensors").unlink()


@refused("weights that were not copied to their end", 3, "bytes by its header")
def _(case: Case) -> None:
    _weights(case, lambda whole: whole[:-100])


@refused("a file of weights without a header", 3, "model.safetensors has no header of safetensors")
def _(case: Case) -> None:
    _weights(case, lambda whole: (10).to_bytes(8, "little") + b"x" * 100)


def _weights(case: Case, change: Callable[[bytes], bytes]) -> None:
    file = case.model / "model.safetensors"
    whole = file.read_bytes()
    file.unlink()  # it is a link
    file.write_bytes(change(whole))


@refused("a type of model that transformers does not have", 3, "has no causal language model of type `qwen33`")
def _(case: Case) -> None:
    case.config("config.json", model_type="qwen33")


@refused("a model with code of its own, which may not run", 3, "`mine` is loaded by code of its own, which is not run")
def _(case: Case) -> None:
    case.config("config.json", model_type="mine", auto_map={"AutoModelForCausalLM": "mine.Mine"})


@refused("a key of `load` that is no argument", 1, "error[E0203]: unknown key `low_cpu_mem`: neither an argument of")
def _(case: Case) -> None:
    case.replace('use = "hf_causal"', 'use = "hf_causal", load = { low_cpu_mem = true }')


@refused("a key that a configuration does not have", 1, "did you mean `num_hidden_layers`?")
def _(case: Case) -> None:
    _from_scratch(case, 'model_type = "qwen3", hidden_size = 16, num_hiden_layers = 1')


@refused(
    "a type of configuration that transformers does not have",
    1,
    "error[E0207]: transformers has no causal language model",
)
def _(case: Case) -> None:
    _from_scratch(case, 'model_type = "qwen33", hidden_size = 16')


def _from_scratch(case: Case, config: str) -> None:
    own = f'use = "from_scratch", config = {{ {config} }}'
    case.replace(f'use = "hf_causal", name = "{case.folder}/tiny"', f'{own}, tokenizer = "{case.folder}/tiny"')


@refused("a shard of the weights that is not there", 3, "names model-2.safetensors, which is not there")
def _(case: Case) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (case.model / "model.safetensors.index.json").write_text(json.dumps(index))


@refused(
    "an adapter of a model that is not there", 3, "it holds an adapter of the model in /nothing, which is not there"
)
def _(case: Case) -> None:
    (case.model / "adapter_config.json").write_text('{"base_model_name_or_path": "/nothing"}')


@refused("more tokens than embeddings", 3, "tokens, the model has 40 embeddings")
def _(case: Case) -> None:
    case.config("config.json", vocab_size=40)


@refused("a written vocabulary smaller than the tokenizer's", 1, "error[E0202]: vocab_size = 40, but the tokenizer has")
def _(case: Case) -> None:
    _from_scratch(case, 'model_type = "qwen3", hidden_size = 16, num_hidden_layers = 1, vocab_size = 40')


@refused("an adapter's target that the model does not have", 1, "error[E0207]: model.adapter.targets: no linear layer")
def _(case: Case) -> None:
    case.replace('use = "hf_causal"', 'use = "hf_causal", adapter = { use = "lora", targets = ["c_attn"] }')


@refused("a tokenizer without EOS", 3, "the tokenizer defines no EOS")
def _(case: Case) -> None:
    _without_special_tokens(case, "eos_token")
    case.replace('"marginal_nsr"', '{ use = "marginal_nsr", prefix = "1" }')


@refused('a tokenizer without a token for prefix = "auto"', 3, 'prefix "auto": the tokenizer has no special token')
def _(case: Case) -> None:
    _without_special_tokens(case)
    case.replace('use = "transformers"', 'use = "transformers", stop = ["x"]')


def _without_special_tokens(case: Case, *names: str) -> None:
    """Without these, all if none is named, and without the chat template."""
    found = json.loads((case.model / "tokenizer_config.json").read_text())
    gone = {name for name in found if name.endswith("_token") and (not names or name in names)}
    case.config("tokenizer_config.json", **dict.fromkeys([*gone, "chat_template"]))
    for name in ("special_tokens_map.json", "chat_template.jinja", "generation_config.json"):
        (case.model / name).unlink(missing_ok=True)
    case.config("config.json", eos_token_id=None, bos_token_id=None, pad_token_id=None)


@refused("an attention that needs a GPU", 3, 'gpu attention = "flash_attention_2" (for model): no GPU')
def _(case: Case) -> None:
    case.patch.setenv("CUDA_VISIBLE_DEVICES", "")
    case.replace('use = "hf_causal"', 'use = "hf_causal", attention = "flash_attention_2"')


# Rows.


@refused("a file of rows that is not there", 3, "rows.jsonl (for data.train): not found")
def _(case: Case) -> None:
    (case.folder / "rows.jsonl").unlink()


@refused("a file without rows", 3, "no rows in")
def _(case: Case) -> None:
    case.rows()


@refused("a row that cannot be read", 3, "rows.jsonl:9")
def _(case: Case) -> None:
    case.rows(*ROWS, '{"question": 1\n')


@refused("a column that is not there", 3, 'no key "problem"')
def _(case: Case) -> None:
    case.replace('chat = "off"', 'chat = "off", question = "problem"')


@refused("fewer rows than a step takes", 1, "error[E0701]: phase `prune` needs 9 rows per step")
def _(case: Case) -> None:
    case.replace("prompts_per_step = 4", "prompts_per_step = 9")


@refused("a question that does not fit beside its response", 3, "rows.jsonl:9: 600 tokens", loads_a_model=True)
def _(case: Case) -> None:
    case.rows(*ROWS, {"question": "1" * 600, "answer": "1"})


@refused("a question that does not fit, behind the rows that `plan` shows", 3, "rows.jsonl:101: 600 tokens")
def _(case: Case) -> None:
    case.rows(*[{"question": "1", "answer": "1"}] * 100, {"question": "1" * 600, "answer": "1"})


@refused(
    "a held-out question that does not fit beside its response",
    3,
    "rows.jsonl:9: 20 tokens and max_new_tokens 500 exceed",
    loads_a_model=True,
)
def _(case: Case) -> None:
    case.rows(*ROWS, {"question": "1" * 20, "answer": "1"})
    case.add('\n[[evaluate]]\nuse = "holdout"\ndata = "train"\nmax_new_tokens = 500\n')


@refused("a gold answer that the verifier cannot read", 3, "rows.jsonl:9")
def _(case: Case) -> None:
    case.rows(*ROWS, {"question": "why?", "answer": "because \\frac{"})
    case.replace('"exact_match"', '"math_verify"')


@refused("a document that is longer than the model's context", 3, "rows.jsonl:9: 602 tokens")
def _(case: Case) -> None:
    _with_documents(case, *["1"] * 8, "1" * 600)


@refused("a document of a later row that is too long", 3, "rows.jsonl:101: 602 tokens")
def _(case: Case) -> None:
    _with_documents(case, *["1"] * 100, "1" * 600)


def _with_documents(case: Case, *texts: str) -> None:
    """The phase trains on every one of them, a step each."""
    case.rows(*({"text": text} for text in texts))
    case.replace('chat = "off"', 'document = "text"')
    case.replace('prompts_per_step = 4\nobjective = "marginal_nsr"', 'documents_per_step = 1\nobjective = "next_token"')
    case.replace("steps = 1 }", f"steps = {len(texts)} }}")
    for role in ("sampler", "verifier"):
        case.text = "".join(line for line in case.text.splitlines(keepends=True) if not line.startswith(f"{role} = "))


@refused("a question that does not fit a teacher, whose context is shorter", 3, "rows.jsonl:9: 20 tokens")
def _(case: Case) -> None:
    teacher = case.folder / "teacher"
    link_model(case.model, teacher)
    config = json.loads((teacher / "config.json").read_text())
    (teacher / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 32}))
    case.rows(*ROWS, {"question": "1" * 20, "answer": "1"})
    use = f'{{ use = "distill", teacher = {{ use = "hf_causal", name = "{teacher}" }} }}'
    case.replace('objective = "marginal_nsr"', f"objective = {use}")


@refused("a template that fails", 1, "error[E0202]")
def _(case: Case) -> None:
    case.replace('chat = "off"', 'chat = "off", template = "{{ 1 / 0 }}"')


# Benchmarks.


@refused("a folder of tasks that is not there", 3, "for evaluate[0]): not found")
def _(case: Case) -> None:
    case.add(f'{EVALUATE}tasks = ["sums"]\ninclude = ["nothing"]\n')


@refused("code in a folder of tasks without --local-code", 3, "error[E0304]")
def _(case: Case) -> None:
    case.file("tasks/count.py", "def digits(doc):\n    return 1\n")
    case.file("tasks/sums.yaml", "task: sums\ndoc_to_text: !function count.digits\n")
    case.add(f'{EVALUATE}tasks = ["sums"]\ninclude = ["tasks"]\n')


@refused("a task's local rows that are not there", 3, "for evaluate[0]): not found")
def _(case: Case) -> None:
    case.add(f'{EVALUATE}tasks = ["gsm8k"]\ndata = {{ gsm8k = "nothing.jsonl" }}\n')


@refused("a task's local rows that cannot be read", 3, "rows gsm8k (for evaluate[0]): gsm8k: 1 row cannot be used")
def _(case: Case) -> None:
    case.file("asked.jsonl", "{\n")
    case.add(f'{EVALUATE}tasks = ["gsm8k"]\ndata = {{ gsm8k = "asked.jsonl" }}\n')


@refused("a task's local file without rows", 3, "contains no rows for gsm8k")
def _(case: Case) -> None:
    case.file("asked.jsonl", "")
    case.add(f'{EVALUATE}tasks = ["gsm8k"]\ndata = {{ gsm8k = "asked.jsonl" }}\n')


@refused(
    "local rows without a column that the task prints",
    3,
    'asked.jsonl: no row has "question", which doc_to_text prints',
)
def _(case: Case) -> None:
    case.file("asked.jsonl", '{"problem": "1+1?", "answer": "#### 2"}\n')
    case.add(f'{EVALUATE}tasks = ["gsm8k"]\ndata = {{ gsm8k = "asked.jsonl" }}\nnum_fewshot = 0\n')


@refused("a local row without what its task prints", 3, 'asked.jsonl:2: no "answer", which doc_to_target prints')
def _(case: Case) -> None:
    case.file("asked.jsonl", '{"question": "1+1?", "answer": "#### 2"}\n{"question": "1+2?"}\n')
    case.add(f'{EVALUATE}tasks = ["gsm8k"]\ndata = {{ gsm8k = "asked.jsonl" }}\nnum_fewshot = 0\n')


@refused(
    "a task whose rows are on the hub, offline", 3, "dataset openai/gsm8k (for evaluate[0]): not in the local hub cache"
)
def _(case: Case) -> None:
    case.patch.setenv("HF_HUB_OFFLINE", "1")
    case.add(f'{EVALUATE}tasks = ["gsm8k"]\n')


@refused("local rows of a task whose few-shot examples have none", 3, "shows 5 few-shot examples of its split `train`")
def _(case: Case) -> None:
    case.file("asked.jsonl", '{"question": "1 + 1?", "answer": "#### 2"}\n')
    case.add(f'{EVALUATE}tasks = ["gsm8k"]\ndata = {{ gsm8k = "asked.jsonl" }}\n')


@refused("fewer rows than few-shot examples", 3, "shows 5 worked examples, and has 2")
def _(case: Case) -> None:
    rows = '{"question": "1 + 1?", "answer": "#### 2"}\n'
    case.file("asked.jsonl", rows)
    case.file("shown.jsonl", rows * 2)
    case.add(f'{EVALUATE}tasks = ["gsm8k"]\ndata = {{ gsm8k = "asked.jsonl", "gsm8k:fewshot" = "shown.jsonl" }}\n')


@refused("local rows for a group of tasks", 3, "rows sums (for evaluate[0]): a group of tasks has no rows of its own")
def _(case: Case) -> None:
    case.file("tasks/sums.yaml", "group: sums\ntask:\n  - gsm8k\n")
    case.file("asked.jsonl", '{"question": "1"}\n')
    case.add(f'{EVALUATE}tasks = ["sums"]\ninclude = ["tasks"]\ndata = {{ sums = "asked.jsonl" }}\n')


# This machine.


@refused("a sampler's package", 3, "package vllm>=")
def _(case: Case) -> None:
    from prerl_spec.compiler.estimates import prerequisites

    found = prerequisites.metadata.version

    def version(name: str) -> str:
        if name.startswith("vllm"):
            raise prerequisites.metadata.PackageNotFoundError(name)
        return found(name)

    case.patch.setattr(prerequisites.metadata, "version", version)
    case.replace('use = "transformers"', 'use = "vllm"')


@refused("a tracker's package", 3, "package wandb>=")
def _(case: Case) -> None:
    from prerl_spec.compiler.estimates import prerequisites

    found = prerequisites.metadata.version

    def version(name: str) -> str:
        if name == "wandb":
            raise prerequisites.metadata.PackageNotFoundError(name)
        return found(name)

    case.patch.setattr(prerequisites.metadata, "version", version)
    case.add('\n[[trackers]]\nuse = "wandb"\n')


@refused("a secret that is not set", 3, "secret PRERL_NO_SECRET (for sampler.key): not set")
def _(case: Case) -> None:
    case.patch.delenv("PRERL_NO_SECRET", raising=False)
    served = 'use = "vllm_server", urls = ["http://127.0.0.1:9"], key = "${secret:PRERL_NO_SECRET}"'
    case.replace('use = "transformers"', served)


@refused("a server that does not answer", 3, "server http://127.0.0.1:9 (for sampler): nothing listens there")
def _(case: Case) -> None:
    case.replace('use = "transformers"', 'use = "vllm_server", urls = ["http://127.0.0.1:9"]')


@refused("a disk that is too small", 3, "its checkpoints alone take")
def _(case: Case) -> None:
    from prerl_spec.compiler.planning import disk

    case.patch.setattr(disk.shutil, "disk_usage", lambda place: type("Usage", (), {"total": 1 << 40, "free": 1 << 10}))


@refused("a folder for runs that cannot be written", 2, "cannot be written: not a directory")
def _(case: Case) -> None:
    case.file("taken", "")
    case.replace(f"{case.folder}/runs", f"{case.folder}/taken/runs")


@refused("a file where the folder for runs should be", 2, "is a file")
def _(case: Case) -> None:
    case.file("taken", "")
    case.replace(f"{case.folder}/runs", f"{case.folder}/taken")


@refused("more processes than GPUs", 3, "2 processes need one GPU each, but this machine has 1")
def _(case: Case) -> None:
    from prerl_spec.cli.shared import launcher
    from prerl_spec.compiler.hardware import Gpu, Hardware

    case.patch.setattr(launcher, "detect_hardware", lambda: Hardware(2, None, (Gpu("G", 1 << 36),)))
    case.patch.setattr(launcher, "torch_can_use_gpus", lambda: True)
    case.add("\n[distributed]\nprocesses = 2\n")


@refused("a start that is not there", 3, "start nowhere@prune (for start.from)")
def _(case: Case) -> None:
    case.add('\n[start]\nfrom = "nowhere@prune"\n')


@refused("a run of the same plan that is live", 2, "is live")
def _(case: Case) -> None:
    import fcntl

    from prerl_spec.compiler.compile import compile_spec

    case.spec.write_text(case.text)
    folder = case.folder / "runs" / "refused"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(compile_spec(case.spec).plan.text())
    lock = (folder / LOCK).open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    case.held.append(lock)


def tiny_model(folder: Path) -> Path:
    return save_tiny(folder)


def link_model(model: Path, folder: Path) -> None:
    """A copy whose files are its own to change; the weights are linked."""
    folder.mkdir()
    for file in model.iterdir():
        if file.suffix == ".safetensors":
            os.link(file, folder / file.name)
        else:
            (folder / file.name).write_bytes(file.read_bytes())
