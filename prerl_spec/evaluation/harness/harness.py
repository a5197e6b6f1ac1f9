"""Scores the policy on lm-eval tasks: builds them, evaluates those without a cached score, and records each score in full.

Calls lm-eval's `evaluate` rather than `simple_evaluate`, which reseeds python, numpy and torch, spends seconds per call on
querying pip and compilers, and returns nothing on ranks other than 0.
"""

import contextlib
import io
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lm_eval
import numpy as np
import torch

from prerl_spec.errors import UsageError
from prerl_spec.evaluation.harness.metric_intervals import without_overflow
from prerl_spec.evaluation.harness.policy_lm import PolicyLM
from prerl_spec.evaluation.harness.question_values import verdict_results
from prerl_spec.evaluation.harness.response_lines import verdict_lines
from prerl_spec.evaluation.harness.stock_scores import repeated_scores, reported_scores
from prerl_spec.evaluation.harness.verified_task import VerifiedTask
from prerl_spec.evaluation.names import bare
from prerl_spec.evaluation.packs import Pack, packs, question_and_answer
from prerl_spec.evaluation.scores.answer_votes import answer_votes
from prerl_spec.evaluation.scores.at_k import wants_votes
from prerl_spec.evaluation.scores.cache import ScoreCache
from prerl_spec.evaluation.scores.scored import Scored, counted_again, judged, keep_questions, of_protocol
from prerl_spec.evaluation.scores.scores import Identity, digest, harness_version, right_scores, template_hash
from prerl_spec.evaluation.scores.verdicts import verdicts_on
from prerl_spec.evaluation.task_draws import SAMPLING_KEYS, Wanted, drawn
from prerl_spec.evaluation.tasks import catalogue
from prerl_spec.evaluation.tasks.local_rows import stated_examples
from prerl_spec.evaluation.tasks.rows import file_rows, hub_rows
from prerl_spec.evaluation.tasks.strange_code import without_strange_code
from prerl_spec.evaluation.tasks.task_faults import require_sound, told_of_task
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.types import Decoding, Draw, Rendering, Score, Verdict

FEWSHOT_SEED = 1234
"""lm-eval's default, for the same few-shot examples as in published scores."""


@dataclass(frozen=True)
class Battery:
    """A set of tasks: their names, the source of their rows, and how questions are rendered and responses judged.

    `rows` generates the rows of tasks that need no download; `num_fewshot` None means the task's own number. `wanted` is
    what the settings say about sampling, from which each task's own draw is made; None: `draw` as it is.
    """

    tasks: tuple[str, ...]
    draw: Draw
    rendering: Rendering
    verifier: Verifier
    include: tuple[Path, ...] = ()
    data: Mapping[str, Path] | None = None
    rows: Mapping[str, Callable[[], Sequence[Mapping[str, str]]]] | None = None
    num_fewshot: int | None = None
    wanted: Wanted | None = None

    def of_task(self, base: Decoding, name: str, config: Mapping[str, Any] | None) -> "Battery":
        """The battery with the draw of one task, whose configuration is None if it is ours."""
        if self.wanted is None:
            return self
        decoding, samples = drawn(name, self.wanted, base, config)
        sizes = tuple(k for k in self.draw.k if k <= samples)
        return replace(self, draw=replace(self.draw, decoding=decoding, samples=samples, k=sizes))


def score_battery(site: EvaluationSite, battery: Battery) -> list[Score]:
    """The scores of every task, in the order of `battery.tasks`.

    Leaves the policy, its mode and all global random generators unchanged. Raises UsageError for unknown tasks and
    for settings that a task does not support, EnvironmentUnmet for unavailable rows.
    """
    lm = PolicyLM(site, battery.rendering, battery.draw.decoding, battery.draw.seed)
    cache = ScoreCache(site.folder / "cache")
    scores: list[Score] = []
    # lm-eval's progress bars go nowhere.
    with same_randomness_after(), contextlib.redirect_stderr(io.StringIO()), without_strange_code():
        tasks = open_tasks(lm, battery)
        batteries = {name: _battery_of(lm, battery, name, task) for name, task in tasks.items()}
        models = {name: lm.with_decoding(batteries[name].draw.decoding) for name in tasks}
        conditions = {name: _conditions(models[name], batteries[name], task) for name, task in tasks.items()}
        known = {name: cache.find(site, conditions[name]) for name in tasks}
        for name, task in tasks.items():
            draw, found = batteries[name].draw, known[name]
            if found is None:
                found = _score_task(models[name], batteries[name], name, task)
                cache.keep(site, conditions[name], found)
            elif isinstance(task, VerifiedTask):
                found = counted_again(site, _identity(models[name], batteries[name], task), draw, found)
            scores += keep_questions(site, of_protocol(found, draw.protocol))
    return scores


def open_tasks(lm: PolicyLM, battery: Battery) -> dict[str, Any]:
    """The lm-eval tasks by name, set up: ours are judged by the verifier, all others as their YAML defines."""
    own, data = packs(), battery.data or {}
    catalogue.included_names(battery.include)
    others = [name for name in battery.tasks if name not in own]
    loaded = (
        catalogue.load_tasks(
            others,
            include=battery.include,
            data=data,
            folder=lm.site.folder / "tasks",
            num_fewshot=battery.num_fewshot,
        )
        if others
        else {}
    )
    tasks = {
        name: _own_task(lm, battery.of_task(lm.site.decoding, name, None), own[name])
        for name in battery.tasks
        if name in own
    } | {name: found.task for name, found in loaded.items()}
    for name, task in tasks.items():
        _set_up(_battery_of(lm, battery, name, task), name, task)
        if not isinstance(task, VerifiedTask):
            with told_of_task(name):
                require_sound(name, task, battery.draw.limit)
    order = {name: place for place, name in enumerate(battery.tasks)}
    asked = {name: order[loaded[name].asked if name in loaded else name] for name in tasks}
    return dict(sorted(tasks.items(), key=lambda item: asked[item[0]]))


def _battery_of(lm: PolicyLM, battery: Battery, name: str, task: Any) -> Battery:
    config = None if isinstance(task, VerifiedTask) else {key: task.get_config(key) for key in SAMPLING_KEYS}
    return battery.of_task(lm.site.decoding, name, config)


@contextlib.contextmanager
def same_randomness_after() -> Iterator[None]:
    """Restores the global generators of python, numpy and torch (all devices) when the block exits."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _own_task(lm: PolicyLM, battery: Battery, pack: Pack) -> VerifiedTask:
    name = pack.name
    data, made = battery.data or {}, battery.rows or {}
    if name in data:
        with lm.visible_stderr():
            check_golds = partial(lm.site.check_golds, battery.verifier)
            rows: Sequence[Mapping[str, str]] = file_rows(name, data[name], check_golds, pack.columns)
    elif name in made:
        rows = [question_and_answer(row) for row in made[name]()]
    else:
        rows = hub_rows(pack)

    def judge(evidence: Sequence[tuple[str, str, bool]]) -> list[Verdict]:
        with lm.visible_stderr():
            return verdicts_on(lm.site, battery.verifier, evidence)

    return VerifiedTask(pack.config, rows, judge, battery.draw.samples)


def _set_up(battery: Battery, name: str, task: Any) -> None:
    """Sets few-shot examples, their seed and the repeats. Raises UsageError for settings that the task does not support."""
    samples, own = battery.draw.samples, isinstance(task, VerifiedTask)
    # lm-eval has no place for the number of the definition beside the one that is asked for.
    task.own_num_fewshot = task.get_config("num_fewshot") or 0
    if battery.num_fewshot is not None:
        if own and battery.num_fewshot > 0:
            raise UsageError(
                f"num_fewshot = {battery.num_fewshot}: `{name}` has no few-shot examples",
                hint='write num_fewshot = "task"',
            )
        task.set_config("num_fewshot", battery.num_fewshot)
    elif task.get_config("num_fewshot") is None:
        task.set_config("num_fewshot", 0)
    task.set_fewshot_seed(FEWSHOT_SEED)
    if own or samples == 1:
        return
    if task.get_config("output_type") != "generate_until":
        raise UsageError(
            f"samples = {samples}: `{name}` is scored by log-probabilities, which do not vary",
            hint="move it to a separate evaluator with samples = 1",
        )
    if (task.get_config("repeats") or 1) > 1:
        raise UsageError(
            f"samples = {samples}: `{name}` itself samples {task.get_config('repeats')} responses per question and votes",
            hint="move it to a separate evaluator with samples = 1",
        )
    task.set_config("repeats", samples)


def _request_arguments(lm: PolicyLM) -> dict[str, Any]:
    """lm-eval's rendering arguments: chat template, or plain text with the system prompt as a separate paragraph."""
    system = lm.rendering.system or None
    if system is not None and not lm.uses_chat:
        system = f"{system}\n\n"
    return {"system_instruction": system, "apply_chat_template": lm.uses_chat, "fewshot_as_multiturn": True}


def _conditions(lm: PolicyLM, battery: Battery, task: Any) -> dict[str, Any]:
    """Everything that determines a task's scores except the weights: the exact requests, and how they are decoded."""
    draw = battery.draw
    with told_of_task(task.task_name):
        task.build_all_requests(
            limit=draw.limit,
            chat_template=lm.apply_chat_template if lm.uses_chat else None,
            tokenizer_name=lm.tokenizer_name,
            **_request_arguments(lm),
        )
    asked = [[instance.request_type, instance.doc_id, instance.idx, instance.args] for instance in task.instances]
    found = {
        # Where few-shot examples come from is in what is asked.
        "identity": {key: value for key, value in vars(_identity(lm, battery, task)).items() if key != "fewshot"},
        "asked": digest(asked),
        "decoding": vars(draw.decoding),
        "samples": draw.samples,
        "limit": draw.limit,
        "seed": draw.seed,
        "max_length": lm.site.max_length,
    }
    # Which k are counted is no condition where the questions keep what they are counted from.
    if not isinstance(task, VerifiedTask) and draw.k:
        found["k"] = draw.sizes
    return found | ({"votes": True} if wants_votes(draw) else {})


def _identity(lm: PolicyLM, battery: Battery, task: Any) -> Identity:
    """Identity of a task: a hash of its configuration (without file locations), its rows and its verifier."""
    config = task.dump_config()
    # `lm_eval/NAME` and NAME are one task.
    config["task"] = bare(str(config.get("task", "")))
    for place in ("dataset_path", "dataset_name", "dataset_kwargs", "repeats", "num_fewshot"):
        config.pop(place, None)
    config["metadata"] = {k: v for k, v in (config.get("metadata") or {}).items() if k != "config_source"}
    judge = [type(battery.verifier).__qualname__, battery.verifier.version, battery.verifier.settings()]
    content = [config, list(task.eval_docs), judge if isinstance(task, VerifiedTask) else None]
    first = str(task.instances[0].args[0])
    return Identity(
        task=task.task_name,
        harness=harness_version(),
        task_version="unversioned" if task.VERSION is None else str(task.VERSION),
        task_hash=digest(content),
        template_hash=template_hash(
            lm.site.codec, lm.rendering, task.get_config("num_fewshot"), lm.site.codec.encode(first)
        ),
        fewshot=_examples(battery, task),
    )


def _examples(battery: Battery, task: Any) -> str:
    config = {key: task.get_config(key) for key in ("training_split", "validation_split", "test_split", "num_fewshot")}
    config["fewshot_config"] = {"split": task.fewshot_cfg.split, "samples": task.fewshot_cfg.samples}
    return stated_examples(task.task_name, config, battery.data or {}, task.own_num_fewshot)


def _score_task(lm: PolicyLM, battery: Battery, name: str, task: Any) -> Scored:
    """Evaluates one task with lm-eval and extracts its scores, and what each question adds to them."""
    site, draw, what = lm.site, battery.draw, _identity(lm, battery, task)
    total = len(task.instances) * draw.samples
    with lm.visible_stderr():
        site.progress(name, 0, total)
    if not isinstance(task, VerifiedTask):
        aggregates = {metric: without_overflow(aggregate) for metric, aggregate in task.aggregation().items()}
        task.aggregation = lambda: aggregates
    # lm-eval builds the requests anew: the same worked examples are drawn again, as stock scores have them.
    task.set_fewshot_seed(FEWSHOT_SEED)
    results = lm_eval.evaluate(
        lm,
        {"tasks": {name: task}},
        limit=draw.limit,
        bootstrap_iters=0,
        **_request_arguments(lm),
    )
    assert results is not None, "lm-eval runs as rank 0 on every rank"
    with lm.visible_stderr():
        site.progress(name, total, total)
    samples = results["samples"][name]
    if isinstance(task, VerifiedTask):
        verdict_QK = [sample["filtered_resps"][0] for sample in samples]
        with lm.visible_stderr():
            votes_Q = answer_votes(site, battery.verifier, verdict_QK) if wants_votes(draw) else None
        found = verdict_results(samples, votes_Q)
        return judged(right_scores(site, what, draw, found), found, verdict_lines(samples))
    if draw.samples > 1:
        return repeated_scores(site, what, draw, task, samples)
    stated = reported_scores(site, what, draw, task, results["results"][name], samples)
    if stated.unstated:
        with lm.visible_stderr():
            words = "".join(f"warning: {line}\n" for line in stated.unstated)
            site.main_does(partial(sys.stderr.write, words), "a warning")
    return stated
