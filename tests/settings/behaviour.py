"""What a component does, as plain values to be compared: one observer a kind."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import torch
from prerl_components.data.arithmetic_chains import ArithmeticChains

from prerl_spec.compiler.graph import Named
from prerl_spec.engine.batches.datasets import check_prompts
from prerl_spec.engine.batches.source import decoding_of
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.policy_access import LivePolicy
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.updater import Updater
from prerl_spec.engine.training.watching import Watching
from prerl_spec.errors import PrerlError
from prerl_spec.prompts import render
from prerl_spec.registry.kinds.judging import TimeoutPolicy
from prerl_spec.registry.kinds.model import ModelSite
from prerl_spec.registry.kinds.sampler import SamplerSite
from prerl_spec.registry.kinds.watching import UpdateProbe
from prerl_spec.registry.reward_base import part_name
from prerl_spec.testing.laws.tiny_trainer import tiny_trainer
from prerl_spec.testing.tiny import save_tiny, tiny_loaded
from prerl_spec.types import Request, StepRecord
from tests.evaluation.sites import tiny_scene, write_rows
from tests.settings.behaviour_of_parts import CODEC, OBSERVERS_OF_PARTS, PROMPT, STEP

RESPONSES = [
    ("\\boxed{ab}", "AB"),
    ("ab", "ab"),
    ("the answer is 50", "50"),
    ("\\boxed{50}", "50"),
    ("\\boxed{50\\%}", "50"),
]
COUNTING = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}, train: {rows}}}}}
test_split: test
fewshot_split: train
output_type: generate_until
doc_to_text: problem
doc_to_target: answer
generation_kwargs: {{until: ["zzz"], temperature: 1.0, do_sample: true}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
metadata: {{version: {version}}}
"""


def of_optimizer(optimizer: Any, folder: Path) -> Any:
    """Weights after three of six steps under the same gradients."""
    policy = Policy(tiny_loaded(), torch.device("cpu"))
    updater = Updater(optimizer, policy.parameters(), Ranks.start())
    generator = torch.Generator().manual_seed(0)
    for step in range(3):
        updater.set_lr(step, 6)
        for _, parameter in policy.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        updater.apply()
    return [float(p.detach().double().sum()) for _, p in policy.parameters()]


def of_schedule(schedule: Any, folder: Path) -> Any:
    """The step after which the phase is over."""
    state: Mapping[str, float] = schedule.initial()
    for step in range(1, 40):
        metrics = {"falls": float(-step), "rises": float(step)}
        record = StepRecord("p", step, step, 1, 1, metrics, 10, 10, {})
        state, over = schedule.after(record, state)
        if over:
            return step
    return None


def of_sampler(sampler: Any, folder: Path) -> Any:
    """Two responses to two prompts of a tiny model."""
    loaded = tiny_loaded()
    with sampler.open(SamplerSite(loaded, "cpu", 512)) as opened:
        requests = [Request((1, 2, 3), (7, 8)), Request((4, 5), (9, 10))]
        drawn = opened.generate(requests, decoding_of(sampler), lambda done, total: None)
        return [(g.tokens, g.stop) for generations in drawn for g in generations]


def of_verifier(verifier: Any, folder: Path) -> Any:
    """Verdicts, and what the worker pool is asked for."""
    verdicts = [verifier.judge(response, gold) for response, gold in RESPONSES]
    policy = verifier.on_timeout if isinstance(verifier, TimeoutPolicy) else None
    return [*verdicts, verifier.num_workers, verifier.seconds_allowed, verifier.memory_bytes, policy]


def of_data(data: Any, folder: Path) -> Any:
    """Rows in use, rendered, and the verifier that judges them; an error's words where there are none."""
    try:
        opened = data.model_copy(update=_inside(data, folder, "path")).open("train")
        usable = check_prompts("train", opened, CODEC, longest=500, check_golds=None, tick=lambda *told: None)
    except PrerlError as error:
        return error.message.replace(str(folder), "")
    rows = [opened.row(i) for i in usable[:20]]
    prompts = [render(row, i, "train", opened.rendering, CODEC).context for i, row in enumerate(rows)]
    said = [(row.question, row.gold, row.document) for row in rows]
    return [len(usable), prompts, said, data.verifier]


def of_model(model: Any, folder: Path) -> Any:
    """Shapes, compute dtype, the tokenizer and what transformers was told."""
    for name in ("one", "two"):
        if not (folder / name).exists():
            save_tiny(folder / name, seed=0 if name == "one" else 1, chat=name == "one")
    inside = _inside(model, folder, "name", "tokenizer")
    site = ModelSite(seed=0, device="cpu", tokenizer_folder=lambda name: folder / name)
    try:
        loaded = model.model_copy(update=inside).build(site)
    except PrerlError as error:
        return error.message
    module: Any = loaded.module
    told = (module.config._attn_implementation, module.config.attention_dropout)
    sums = [float(p.detach().sum()) for p in module.parameters()]
    return [sums, str(loaded.compute_dtype), loaded.codec.eos_id, told]


def of_adapter(adapter: Any, folder: Path) -> Any:
    """What a nudged adapter makes of a text, dropout on and off, and what a sampler with weights of its own is handed."""
    loaded = tiny_loaded()
    attached = adapter.attach(loaded.module, "tiny", None, 0)
    with torch.no_grad():
        for parameter in attached.parameters().values():
            parameter.add_(0.01)
    ids = torch.arange(12)[None]
    with torch.no_grad(), attached.dropping(1):
        dropped = loaded.module(input_ids=ids).logits.sum().item()
    with torch.no_grad():
        plain = loaded.module(input_ids=ids).logits.sum().item()
    access = LivePolicy(Policy(replace(loaded, adapter=attached), torch.device("cpu")), Ranks.start())
    return [list(attached.parameters()), plain, dropped, [float(t.sum()) for _, t in access.tensors()]]


def of_reward(reward: Any, folder: Path) -> Any:
    """The name of its part, and its term for each scored response, some of them in the asked form."""
    boxed = [
        replace(g, attempts=tuple(replace(a, text=f"\\boxed{{{a.text}}}") for a in g.attempts)) for g in STEP.groups[:2]
    ]
    groups = (*boxed, *STEP.groups[2:])
    terms = [reward.reward(a, g) for g in groups for a in g.attempts if a.reward is not None]
    return [part_name("its_use", reward), terms]


def of_filter(chosen: Any, folder: Path) -> Any:
    """Which groups stay."""
    return [chosen.keep(group) for group in STEP.groups]


def of_view(view: Any, folder: Path) -> Any:
    return view.context(PROMPT, CODEC)


def of_tracker(tracker: Any, folder: Path) -> Any:
    """What Accelerate's tracker was told."""
    made = tracker.accelerate_tracker("run", folder)
    return [made.run_name if hasattr(made, "run_name") else None, getattr(made, "init_kwargs", None)]


def of_evaluator(evaluator: Any, folder: Path) -> Any:
    """Everything that was asked of the sampler, and the scores."""
    inside = dict(evaluator)
    for task_folder, version in (("tasks", 1), ("elsewhere", 2)):
        for task in ("counting", "again"):
            file = folder / task_folder / f"{task}.yaml"
            file.parent.mkdir(exist_ok=True)
            rows = write_rows(folder / f"{task}.jsonl", 3)
            file.write_text(COUNTING.format(name=task, rows=rows, version=version))
    write_rows(folder / "other.jsonl", 4)
    if "include" in inside:
        inside["include"] = tuple(str(folder / name) for name in evaluator.include)
        inside["data"] = {task: str(folder / file) for task, file in evaluator.data.items()}
    sets = {"sums": ArithmeticChains().open("sums"), "others": ArithmeticChains(seed=1).open("others")}
    with tiny_scene(folder / "site", data=sets, chat=True) as scene:
        if not hasattr(evaluator, "tasks"):
            inside["limit"] = 3 if evaluator.limit == "off" else evaluator.limit
        scores = type(evaluator).model_validate(inside).score(scene.site)
        asked = [(r.context, r.seeds) for r in scene.heard.requests]
        return [asked, scene.heard.decodings, [(s.task, s.task_version, s.metric, s.value) for s in scores]]


def of_probe(probe: Any, folder: Path) -> Any:
    """Its metrics of a made step, and of an update of a tiny model."""
    found = [probe.measure(STEP)]
    if isinstance(probe, UpdateProbe):
        trainer = tiny_trainer()
        watching = Watching.begin([Named("probe", probe.model_copy(update={"every": 1}))], STEP, trainer)
        trainer.train(STEP)
        found.append(watching.end())
    return found


def of_nothing(component: Any, folder: Path) -> Any:
    """A kind whose every setting is seen elsewhere."""
    return None


OBSERVERS: dict[str, Callable[[Any, Path], Any]] = {
    **OBSERVERS_OF_PARTS,
    "optimizer": of_optimizer,
    "schedule": of_schedule,
    "sampler": of_sampler,
    "verifier": of_verifier,
    "data": of_data,
    "model": of_model,
    "adapter": of_adapter,
    "view": of_view,
    "tracker": of_tracker,
    "evaluator": of_evaluator,
    "reward": of_reward,
    "filter": of_filter,
    "probe": of_probe,
}


def write_tables(folder: Path) -> None:
    """Two JSON Lines files, and a folder with two configurations of two splits each."""
    long = "and so on, " * 10
    rows = [
        {"question": f"{n}+1? {long if n == 2 else ''}", "problem": f"{n}-1?", "answer": f"\\boxed{{{n}}}",
         "solution": str(n), "text": f"text {n}", "level": n, "sometimes": None if n == 1 else "?"}
        for n in range(4)
    ]  # fmt: skip
    for name, chosen in (("rows", rows), ("other", rows[:2])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chosen))
    for name, start in (("folder", 0), ("other", 1)):
        for config in ("first", "second"):
            for split in ("train", "test"):
                file = folder / name / config / f"{split}.jsonl"
                file.parent.mkdir(parents=True, exist_ok=True)
                skipped = start + (config == "second") + (split == "test")
                file.write_text("".join(json.dumps(row) + "\n" for row in rows[: 4 - skipped]))
        configs = "".join(
            f"- config_name: {config}\n  default: {str(config == 'first').lower()}\n  data_files:\n"
            + "".join(f"  - split: {split}\n    path: {config}/{split}.jsonl\n" for split in ("train", "test"))
            for config in ("first", "second")
        )
        (folder / name / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    datasets.disable_progress_bars()


def _inside(component: Any, folder: Path, *settings: str) -> dict[str, str]:
    """Relative paths, made absolute."""
    return {s: str(folder / v) for s in settings if isinstance(v := getattr(component, s, None), str)}
