"""`lm_eval`: benchmarks of EleutherAI's harness and built-in tasks in its format, sampled with the policy's sampler."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from prerl_components.data.chain_tasks import task_rows
from prerl_components.verifiers.math_verify import MathVerify
from prerl_spec.evaluation.harness.catalogue import check_names
from prerl_spec.evaluation.harness.fetching import fetch_tasks
from prerl_spec.evaluation.harness.foreseen import refused_rows, refused_tasks
from prerl_spec.evaluation.harness.questions import task_questions
from prerl_spec.evaluation.harness.yaml_code import code_of_folder
from prerl_spec.sdk import (
    Code,
    Conflict,
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
    TaskQuestions,
    Wiring,
    count_json_lines,
)

GENERATED: Mapping[str, Literal["easy", "hard"]] = {
    "arithmetic_chains_easy": "easy",
    "arithmetic_chains_hard": "hard",
}
"""Built-in tasks with generated rows -> the part of `arithmetic_chains` that they use."""

ON_THE_HUB: Mapping[str, str] = {
    "math500": "HuggingFaceH4/MATH-500",
    "aime24": "HuggingFaceH4/aime_2024",
    "aime25": "math-ai/aime25",
    "amc23": "math-ai/amc23",
}
"""Built-in tasks with downloaded rows -> the hub data set named in their YAML."""

NUM_QUESTIONS: Mapping[str, int] = {
    "arithmetic_chains_easy": 512,
    "arithmetic_chains_hard": 512,
    "math500": 500,
    "aime24": 30,
    "aime25": 30,
    "amc23": 40,
}
"""Number of rows of each built-in task."""


class LmEval(EvaluatorSettings):
    """Scores on lm-eval tasks: arithmetic_chains_easy, arithmetic_chains_hard, math500, aime24, aime25, amc23, those in
    the `include` folders, and every task of the installed lm-eval."""

    library_bytes: ClassVar[Mapping[str, int]] = {"datasets": 82 << 20, "lm_eval": 19 << 20}

    tasks: tuple[str, ...] = Field(min_length=1, description="Names of lm-eval tasks.")
    include: tuple[Annotated[str, SpecPath()], ...] = Field(
        default=(), description="Folders with further task definitions (lm-eval YAML files)."
    )
    data: Mapping[str, Annotated[str, SpecPath()]] = Field(
        default_factory=dict, description="Local rows instead of a task's hub data set: task name = JSONL file."
    )
    system: str | None = Field(default=None, description="System prompt. Default: that of the first phase's data set.")
    chat: Annotated[Literal["off"] | dict[str, Any] | None, PassedThrough()] = Field(
        default=None,
        description='Arguments of the chat template, or "off". Default: those of the first phase\'s data set.',
    )
    num_fewshot: Literal["task"] | Annotated[int, Field(ge=0)] = Field(
        default="task", description='Few-shot examples before each question; "task": as defined by the task.'
    )

    @field_validator("tasks")
    @classmethod
    def _each_task_once(cls, tasks: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({task for task in tasks if tasks.count(task) > 1}):
            raise ValueError(f"{', '.join(twice)} is named twice")
        return tasks

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        yield from super().check(wiring)
        for task in self.data:
            if task not in self.tasks:
                yield Conflict(
                    Code.CONTRADICTION,
                    f"`data` provides rows for `{task}`, which is not in `tasks`",
                    (Place("self", "data"), Place("self", "tasks")),
                )

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        """Local files and folders, and the data sets of built-in tasks; only lm-eval knows what its tasks download."""
        files = [Prerequisite("file", path, "set the path of a JSON Lines file") for path in self.data.values()]
        folders = [Prerequisite("file", path, "set the path of a folder of YAML files") for path in self.include]
        fetched = [
            Prerequisite("dataset", ON_THE_HUB[task], f'connect to the hub, or set data = {{ {task} = "rows.jsonl" }}')
            for task in self.tasks
            if task in ON_THE_HUB and task not in self.data
        ]
        return (*files, *folders, *fetched)

    def local_code(self) -> tuple[LocalCode, ...]:
        """What the YAML files of each `include` folder run."""
        found = ((f"include[{n}]", code_of_folder(Path(folder))) for n, folder in enumerate(self.include))
        return tuple(LocalCode(at, "; ".join(code.places), tuple(code.files)) for at, code in found if code.places)

    def count_questions(self) -> int | None:
        """Questions per evaluation; None without a `limit` if a task's size is unknown until it is loaded."""
        sizes = [self._rows_of(task) for task in self.tasks]
        if self.limit == "off":
            return None if None in sizes else sum(n for n in sizes if n is not None)
        return sum(self.limit if n is None else min(n, self.limit) for n in sizes)

    def metrics_by_task(self) -> Mapping[str, tuple[str, ...] | None]:
        """Those of lm-eval's own tasks and of `include` folders stand in their YAML."""
        return {task: self.share_metrics() if task in NUM_QUESTIONS else None for task in self.tasks}

    def _rows_of(self, task: str) -> int | None:
        if task not in self.data:
            return NUM_QUESTIONS.get(task)
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
        for refused in refused_tasks(self.tasks, include):
            yield Refusal("task", *refused)
        for refused in refused_rows({task: Path(file) for task, file in self.data.items()}, include):
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
            system=site.rendering.system if self.system is None else self.system,
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
        )
        return score_battery(site, battery)
