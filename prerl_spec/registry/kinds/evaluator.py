"""Evaluators: what scores the policy, and what it may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.registry.kinds.declared import Declared
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.types import Decoding, Generation, Rendering, Request, Score, Verdict

if TYPE_CHECKING:
    from prerl_spec.text import Codec


def _do_alone(work: Callable[[], object], what: str) -> None:
    work()


@dataclass(frozen=True)
class EvaluationSite:
    """What an evaluator may use; no call changes the policy, its mode, its caches or any random generator."""

    phase: str
    global_step: int
    generated_tokens: int
    trained_tokens: int
    seed: int
    codec: Codec
    tokenizer: Any
    max_length: int
    weights_hash: str
    decoding: Decoding
    """The sampler's own; an evaluator's settings override it."""
    rendering: Rendering
    """That of the first phase's data set: the default system prompt and chat of lm-eval tasks."""
    verifier: Verifier | None
    data: Mapping[str, DataSet]
    data_verifier: Mapping[str, Verifier | None]
    folder: Path
    """Where score caches and task files may be written."""
    generate: Callable[[Sequence[Request], Decoding], list[list[Generation]]]
    """Sharded over ranks and gathered: the same result on each."""
    continuation_logps: Callable[[Sequence[tuple[tuple[int, ...], tuple[int, ...]]]], list[tuple[float, bool]]]
    """For each (context, continuation): the summed log-probability of the continuation at temperature 1, and whether
    greedy decoding would have produced it."""
    verify: Callable[[Verifier, Sequence[tuple[str, str, bool]]], list[Verdict]]
    """(response, gold, truncated) -> verdicts, through the worker processes."""
    check_golds: Callable[[Verifier, Sequence[str]], list[str | None]]
    """Gold answers -> why each cannot be used, None where it can, through the worker processes."""
    main_does: Callable[[Callable[[], object], str], None] = _do_alone
    """Does the work, which writes what the text names, on one of the processes; the others wait. Raises RunFailed where the
    disk does not take it."""
    progress: Callable[[str, int, int], None] = field(default=lambda what, done, total: None)
    sampled_by: str = ""
    """The sampler, where one was chosen for this evaluation that other scores of the policy do not have; "" in a run."""


class Evaluator(Declared, Protocol):
    """Scores the policy; `EvaluatorSettings` provides everything except `score`."""

    @property
    def at(self) -> tuple[str, ...]: ...
    @property
    def every(self) -> int | Literal["off"]: ...
    @property
    def samples(self) -> int: ...
    @property
    def max_new_tokens(self) -> int | None: ...
    @property
    def limit(self) -> int | Literal["off"]: ...
    @property
    def seed(self) -> int | None: ...
    @property
    def own_verifier(self) -> Verifier | None:
        """The evaluator's own verifier; None: that of the data set or the phase."""
        ...

    def data_sets(self) -> tuple[str, ...]:
        """Data sets of the spec whose rows are scored."""
        ...

    def count_questions(self) -> int | None:
        """Number of questions besides those of `data_sets()`; None if it is known only after reading them. No torch."""
        ...

    def prepare(self) -> None:
        """Raises, before any training, for errors that can be detected then, such as an undefined task."""
        ...

    def score(self, site: EvaluationSite) -> list[Score]: ...


@dataclass(frozen=True)
class TaskDraw:
    """How an evaluator samples one task: `TaskDraw("aime24_boxed", Decoding(0.6, 0.95, 0, 32768), 64, "open-r1", 30)`.

    `decoding` and `samples` are None where only the task's own YAML says them and it isn't known yet; `questions` where the
    rows aren't. A task with `generates` False is scored by log-probabilities; with `is_known` False the name may be a group's,
    and none of its tasks generate. `note` says where the task's source samples otherwise.
    """

    task: str
    decoding: Decoding | None
    samples: int | None
    protocol: str = "off"
    questions: int | None = None
    note: str | None = None
    generates: bool = True
    is_known: bool = True


@dataclass(frozen=True)
class TaskQuestions:
    """The questions of a benchmark, as far as they can be read without the hub:
    `TaskQuestions("aime24_boxed", (("aime.jsonl:1", "Find …"),))`; several texts of one row share its place.

    `unknown` is why there are none.
    """

    task: str
    texts: tuple[tuple[str, str], ...] = ()
    unknown: str | None = None


@runtime_checkable
class ShowsQuestions(Protocol):
    """An evaluator with questions besides those of `data_sets()`, which training texts can be compared with."""

    def questions(self) -> Iterator[TaskQuestions]:
        """The questions of each task, without asking the hub. Raises UsageError for an unknown task."""
        ...


@runtime_checkable
class Fetching(Protocol):
    """An evaluator that downloads the files it scores with."""

    def fetch(self) -> Iterator[str]:
        """Downloads what scoring will read into the hub's cache, yielding one line for each file."""
        ...
