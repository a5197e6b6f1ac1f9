"""`lm_eval`: benchmarks of EleutherAI's harness and built-in tasks in its format, sampled with the policy's sampler."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator

from prerl_components.data.chain_tasks import task_rows
from prerl_components.verifiers.math_verify import MathVerify
from prerl_spec.evaluation.names import current_name, toml_key
from prerl_spec.evaluation.packs import packs
from prerl_spec.evaluation.protocols import ProtocolName, Sampling
from prerl_spec.evaluation.scores.at_k import at_k_metrics
from prerl_spec.evaluation.task_draws import Wanted, task_draw
from prerl_spec.evaluation.tasks.catalogue import check_names, known_config
from prerl_spec.evaluation.tasks.fetching import fetch_tasks
from prerl_spec.evaluation.tasks.foreseen import refused_rows, refused_tasks
from prerl_spec.evaluation.tasks.foreseen_data import hub_data, lacking_columns
from prerl_spec.evaluation.tasks.local_rows import misplaced_rows
from prerl_spec.evaluation.tasks.questions import task_questions
from prerl_spec.evaluation.tasks.yaml_code import code_of_folder
from prerl_spec.sdk import (
    Code,
    Conflict,
    Decoding,
    Draw,
    EvaluationSite,
    EvaluatorSettings,
    LocalCode,
    PassedThrough,
    Place,
    Prerequisite,
    Refusal,
    Rendering,
    Score,
    SpecPath,
    TaskDraw,
    TaskQuestions,
    Wiring,
    count_json_lines,
)

GENERATED: Mapping[str, Literal["easy", "hard"]] = {
    "arithmetic_chains_easy": "easy",
    "arithmetic_chains_hard": "hard",
}
"""Built-in tasks with generated rows -> the part of `arithmetic_chains` that they use."""


class LmEval(EvaluatorSettings):
    """Scores on lm-eval tasks: ours (docs/benchmarks.md), those of the `include` folders, and every task, group and tag of the
    installed lm-eval; `lm_eval/NAME` is always lm-eval's own."""

    library_bytes: ClassVar[Mapping[str, int]] = {"datasets": 82 << 20, "lm_eval": 19 << 20}

    tasks: tuple[Annotated[str, AfterValidator(current_name)], ...] = Field(
        min_length=1, description="Names of tasks, groups and tags."
    )
    include: tuple[Annotated[str, SpecPath()], ...] = Field(
        default=(), description="Folders with further task definitions (lm-eval YAML files)."
    )
    data: Mapping[str, Annotated[str, SpecPath()]] = Field(
        default_factory=dict,
        description="Local rows instead of a task's hub data set: task name = JSONL file; `TASK:fewshot` names that of its "
        "few-shot examples.",
    )
    system: str | None = Field(
        default=None, description='System prompt, "" for none. Default: that of the first phase\'s data set.'
    )
    chat: Annotated[Literal["off"] | dict[str, Any] | None, PassedThrough()] = Field(
        default=None,
        description='Arguments of the chat template, or "off". Default: those of the first phase\'s data set.',
    )
    num_fewshot: Literal["task"] | Annotated[int, Field(ge=0)] = Field(
        default="task", description='Few-shot examples before each question; "task": as defined by the task.'
    )
    k: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        default=None,
        min_length=1,
        description="The k of pass@k and its kin, each at most `samples`. Default: 1 and `samples`.",
    )
    protocol: ProtocolName = Field(
        default="off",
        description='Decoding and samples of a published protocol; written settings win. "task": what each task says.',
    )

    @field_validator("tasks", "k")
    @classmethod
    def _each_once(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if values is not None and (twice := sorted({value for value in values if values.count(value) > 1})):
            raise ValueError(f"{', '.join(map(str, twice))} is named twice")
        return values

    def settings(self) -> dict[str, Any]:
        """Without `samples` where the protocol says them: a plan's settings build the same evaluator."""
        found = super().settings()
        return {key: value for key, value in found.items() if key != "samples" or self._samples is not None}

    def too_large_k(self) -> str | None:
        """A k that no task has samples for, in words."""
        samples = [draw.samples for draw in self._draws_without_files(Decoding())]
        most = None if None in samples else max(n for n in samples if n is not None)
        if self.k is None or most is None or max(self.k) <= most:
            return None
        return f"`k` is {max(self.k)}, and a question has at most {most} {'sample' if most == 1 else 'samples'}"

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        yield from super().check(wiring)
        if (misplaced := misplaced_rows(self.data, self.tasks)) is not None:
            found, help = misplaced
            places = (Place("self", "data"), Place("self", "tasks"))
            yield Conflict(Code.CONTRADICTION, f"`data` {found}", places, help)
        if (too_large := self.too_large_k()) is not None:
            yield Conflict(
                Code.CONTRADICTION,
                too_large,
                (Place("self", "k"), Place("self", "protocol" if self._samples is None else "samples")),
            )
        if self.protocol == "greedy" and self._samples not in (None, 1) and self.temperature in (None, 0):
            yield Conflict(
                Code.NO_EFFECT,
                "`samples` has no effect under the greedy protocol: all responses to a question are equal",
                (Place("self", "samples"), Place("self", "protocol")),
            )

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        """Local files and folders, and the data sets of tasks, as far as YAML tells what lm-eval's own download."""
        files = [Prerequisite("file", path, "set the path of a JSON Lines file") for path in self.data.values()]
        folders = [Prerequisite("file", path, "set the path of a folder of YAML files") for path in self.include]
        hubs = {task: packs()[task].hub for task in self.tasks if task in packs() and task not in self.data}
        fetched = [Prerequisite("dataset", hub, _connect(task)) for task, hub in hubs.items() if hub is not None]
        local, include = {task: Path(file) for task, file in self.data.items()}, tuple(map(Path, self.include))
        fetched += [
            Prerequisite("dataset", found.path, _connect(found.task), found.revision)
            for found in hub_data(self.tasks, local, include)
        ]
        return (*files, *folders, *fetched)

    def local_code(self) -> tuple[LocalCode, ...]:
        """What the YAML files of each `include` folder run."""
        found = ((f"include[{n}]", code_of_folder(Path(folder))) for n, folder in enumerate(self.include))
        return tuple(LocalCode(at, "; ".join(code.places), tuple(code.files)) for at, code in found if code.places)

    def count_questions(self) -> int | None:
        """Questions per evaluation; None without a `limit` if a task's size is unknown until it is loaded."""
        sizes = [self._questions_of(task) for task in self.tasks]
        return None if None in sizes else sum(n for n in sizes if n is not None)

    def metrics_by_task(self) -> Mapping[str, tuple[str, ...] | None]:
        """Those of lm-eval's own tasks and of `include` folders stand in their YAML."""
        return {
            draw.task: self.share_metrics(draw.samples) if draw.task in packs() and draw.samples else None
            for draw in self._draws_without_files(Decoding())
        }

    def share_metrics(self, samples: int | None = None) -> tuple[str, ...]:
        """The metrics of a task whose responses are right or wrong."""
        number = self.samples if samples is None else samples
        sizes = tuple(k for k in self.k or () if k <= number)
        return tuple(at_k_metrics(Draw(Decoding(), number, 0, k=sizes), has_answers=True))

    def task_draws(self, base: Decoding) -> tuple[TaskDraw, ...]:
        """Reads the YAML of tasks that are not ours, where lm-eval, or the folder, is there."""
        include = tuple(Path(folder) for folder in self.include)
        configs = {task: None if task in packs() else known_config(task, include) for task in self.tasks}
        return self._draws(base, configs)

    def draw(self, site: EvaluationSite) -> Draw:
        return replace(super().draw(site), k=self.k or (), protocol=self.protocol)

    @property
    def _samples(self) -> int | None:
        """The written number; None where a protocol says it."""
        return self.samples if self.protocol == "off" or "samples" in self.model_fields_set else None

    def _wanted(self) -> Wanted:
        written = Sampling(self.temperature, self.top_p, None, self.max_new_tokens, self._samples)
        return Wanted(self.protocol, written)

    def _draws_without_files(self, base: Decoding) -> tuple[TaskDraw, ...]:
        return self._draws(base, dict.fromkeys(self.tasks))

    def _draws(self, base: Decoding, configs: Mapping[str, Mapping[str, Any] | None]) -> tuple[TaskDraw, ...]:
        wanted = self._wanted()
        return tuple(task_draw(t, wanted, base, configs[t], self._questions_of(t)) for t in self.tasks)

    def _questions_of(self, task: str) -> int | None:
        rows = self._rows_of(task)
        if self.limit == "off":
            return rows
        return self.limit if rows is None else min(rows, self.limit)

    def _rows_of(self, task: str) -> int | None:
        if task not in self.data:
            return packs()[task].rows if task in packs() else None
        try:
            return count_json_lines(Path(self.data[task]))
        except OSError:
            return None

    def prepare(self) -> None:
        """Raises UsageError for an unknown task: before any training, not at the first evaluation."""
        check_names(self.tasks, tuple(Path(folder) for folder in self.include))

    def refusals(self) -> Iterator[Refusal]:
        """Tasks that nobody defines, and local rows that cannot be read."""
        include = tuple(map(Path, self.include))
        data = {task: Path(file) for task, file in self.data.items()}
        num_fewshot = None if self.num_fewshot == "task" else self.num_fewshot
        for refused in refused_tasks(self.tasks, include):
            yield Refusal("task", *refused)
        limit = None if self.limit == "off" else self.limit
        for refused in (*lacking_columns(data, include, num_fewshot, limit), *refused_rows(data, include, num_fewshot)):
            yield Refusal("rows", *refused)

    def fetch(self) -> Iterator[str]:
        """Downloads the tasks' data sets into the hub's cache; yields one line per task."""
        data = {task: Path(file) for task, file in self.data.items()}
        return fetch_tasks(self.tasks, include=tuple(map(Path, self.include)), data=data, made=GENERATED)

    def questions(self) -> Iterator[TaskQuestions]:
        """The questions of every task that are on this machine. Raises UsageError for an unknown task."""
        self.prepare()
        data = {task: Path(file) for task, file in self.data.items()}
        made = {task: partial(task_rows, part) for task, part in GENERATED.items()}
        yield from task_questions(self.tasks, include=tuple(map(Path, self.include)), data=data, made=made)

    def score(self, site: EvaluationSite) -> list[Score]:
        """The scores of every task. Raises UsageError for an unknown task, EnvironmentUnmet for rows that cannot be
        loaded."""
        from prerl_spec.evaluation.harness.harness import Battery, score_battery

        rendering = Rendering(
            chat=site.rendering.chat if self.chat is None else self.chat,
            system=(site.rendering.system if self.system is None else self.system) or None,
        )
        battery = Battery(
            tasks=self.tasks,
            draw=self.draw(site),
            rendering=rendering,
            verifier=site.verifier or MathVerify(),
            include=tuple(Path(folder) for folder in self.include),
            data={task: Path(file) for task, file in self.data.items()},
            rows={task: partial(task_rows, part) for task, part in GENERATED.items()},
            num_fewshot=None if self.num_fewshot == "task" else self.num_fewshot,
            wanted=self._wanted(),
        )
        return score_battery(site, battery)


def _connect(task: str) -> str:
    return f'connect to the hub, or set data = {{ {toml_key(task)} = "rows.jsonl" }}'
