"""The data types of a run: prompts, attempts, verdicts, and the step that collects them. No torch, no other module.

Axes: P prompts (groups) of a step, G attempts of a group, S samples (P x G, group after group), N trained tokens of an
update (sample after sample), n trained tokens of one pass. Log-probabilities are nats.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Index: TypeAlias = npt.NDArray[np.int64]
Stop = Literal["eos", "stop", "length", "document"]
VERDICT_PART = "verdict"
"""The part of a reward that is the verifier's score."""
NO_INTERVAL = "none"
"""In place of an interval's construction: the score has no bounds."""
NOT_RECORDED = "not recorded"
"""The construction of an interval in a score of a version that did not name it."""


class Outcome(StrEnum):
    """The result of a verification. An error, or a timeout that is the verifier's, says nothing about the response, so it is
    never trained on."""

    RIGHT = "right"
    WRONG = "wrong"
    UNPARSABLE = "unparsable"
    TIMEOUT = "timeout"
    ERROR = "error"


@dataclass(frozen=True)
class Verdict:
    """A verifier's judgement of a response: `Verdict(Outcome.RIGHT, 1.0, answer="42")`.

    `score` in [0, 1] is None for timeouts and errors; `answer` is the extracted answer; `detail` explains the outcome in words.
    `by_answer`, of a timeout: the answer kept the verifier busy, which judges its own example in time. The engine decides
    that; with `on_timeout = "unparsable"` such a timeout has the score 0.
    """

    outcome: Outcome
    score: float | None
    answer: str | None = None
    detail: str = ""
    by_answer: bool = False

    @property
    def is_fault(self) -> bool:
        """Whether the verifier is to blame: an error, or a timeout that the answer did not cause."""
        return self.outcome is Outcome.ERROR or (self.outcome is Outcome.TIMEOUT and not self.by_answer)

    @property
    def trained_as_unparsable(self) -> bool:
        """Unparsable, or an answer's timeout with a score."""
        return self.outcome is Outcome.UNPARSABLE or (self.outcome is Outcome.TIMEOUT and self.score is not None)

    @property
    def contradiction(self) -> str | None:
        """Why a verifier cannot mean this verdict, None if it can: right has the score 1, wrong one below 1, unparsable 0,
        a timeout and an error none."""
        score: object = self.score
        if not isinstance(self.outcome, Outcome):
            return f"its outcome is {self.outcome!r}, not an Outcome"
        if self.outcome in (Outcome.TIMEOUT, Outcome.ERROR):
            return None if score is None else f"{self.outcome} with a score of {score!r}"
        if score is None:
            return f"{self.outcome} without a score"
        # An integer of 400 digits is no float.
        is_other_integer = isinstance(score, int) and (isinstance(score, bool) or score not in (0, 1))
        if is_other_integer or not isinstance(score, Real) or not 0 <= float(score) <= 1:
            return f"{self.outcome} with a score of {score!r}, which is no number in [0, 1]"
        fits = {Outcome.RIGHT: score == 1, Outcome.WRONG: score < 1, Outcome.UNPARSABLE: score == 0}
        return None if fits[self.outcome] else f"{self.outcome} with a score of {float(score):g}"


@dataclass(frozen=True)
class Prompt:
    """One question as the model sees it: `Prompt("train", 17, "2+2?", "4", context=(1, 57, 3))`.

    `context` are the token ids of the rendered question (template and system prompt included); a document without a
    question has `question=None` and the prefix as its context.
    """

    data: str
    row: int
    question: str | None
    gold: str | None
    context: tuple[int, ...]


@dataclass(frozen=True)
class Segment:
    """Consecutive tokens of an attempt by one author; only `trained` tokens are scored. `logps` are the sampler's, in nats."""

    tokens: tuple[int, ...]
    author: Literal["policy", "environment"] = "policy"
    trained: bool = True
    logps: tuple[float, ...] | None = None
    entropies: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Attempt:
    """One response to a prompt (or one document): its segments, text, stop reason, and later its verdict and reward.

    `reward` is None until verified, and stays None where the verdict has no score (outside the group's mean and count). `parts`
    are what it is the sum of, by name: {"verdict": 1.0, "overlong_penalty": -0.25}; empty where there is no reward, and for
    one of several terms that an earlier version has journalled as their sum alone.
    """

    segments: tuple[Segment, ...]
    text: str
    stop: Stop
    verdict: Verdict | None = None
    reward: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict, hash=False)

    @cached_property
    def tokens(self) -> tuple[int, ...]:
        """Every token after the context, EOS included where it was sampled."""
        return tuple(t for s in self.segments for t in s.tokens)

    @cached_property
    def trained(self) -> tuple[bool, ...]:
        """One flag per token: whether it is trained (one of the N)."""
        return tuple(s.trained for s in self.segments for _ in s.tokens)

    @property
    def num_trained(self) -> int:
        return sum(len(s.tokens) for s in self.segments if s.trained)


@dataclass(frozen=True)
class Group:
    """The attempts at one prompt; `slot` is the prompt's index in the step, `refill` the refill round that sampled it.

    `max_new_tokens` is the response budget that they were sampled under; 0 where nothing is sampled.
    """

    slot: int
    prompt: Prompt
    attempts: tuple[Attempt, ...]
    refill: int = 0
    max_new_tokens: int = 0


@dataclass(frozen=True)
class Tokens:
    """The sample and position of each of N (or n) trained tokens: flat vectors, sample after sample.

    `sample_N` numbers samples from 0 without gaps, `position_N` is the index in the response, `length_S` the number of
    trained tokens of each sample, `group_S` the group of each sample.
    """

    id_N: Index
    sample_N: Index
    position_N: Index
    length_S: Index
    group_S: Index

    @property
    def num_tokens(self) -> int:
        return int(self.id_N.shape[0])

    @property
    def num_samples(self) -> int:
        return int(self.length_S.shape[0])

    def of_samples(self, samples: Sequence[int]) -> tuple[Tokens, Index]:
        """The tokens of these samples, renumbered from 0, and their indices in N."""
        start = np.concatenate([[0], np.cumsum(self.length_S)])
        where = [np.arange(start[s], start[s + 1]) for s in samples]
        index_n = np.concatenate(where).astype(np.int64) if where else np.zeros(0, np.int64)
        length_s = self.length_S[list(samples)].astype(np.int64)
        part = Tokens(
            id_N=self.id_N[index_n],
            sample_N=np.repeat(np.arange(len(samples)), length_s).astype(np.int64),
            position_N=self.position_N[index_n],
            length_S=length_s,
            group_S=self.group_S[list(samples)],
        )
        return part, index_n


@dataclass(frozen=True)
class Step:
    """One verified and rewarded batch, the same on every rank: the input of `credit`.

    `temperature` is the sampler's: all log-probabilities of the step are those of the tempered distribution.
    `max_new_tokens` is the response budget (the constant L of the `constant` aggregation). `part_names` are the parts of
    each reward, "verdict" first. `streams` is run.streams.
    """

    phase: str
    step: int
    global_step: int
    groups: tuple[Group, ...]
    temperature: float = 1.0
    max_new_tokens: int = 0
    discarded: tuple[Group, ...] = field(default=(), repr=False)
    part_names: tuple[str, ...] = (VERDICT_PART,)
    streams: Literal["global", "phase"] = "global"

    @property
    def stream(self) -> int:
        """The number that a component's random choices hang on: that of the step in the run, or in the phase where
        run.streams = "phase"."""
        return self.step if self.streams == "phase" else self.global_step

    @property
    def index(self) -> int:
        """The number of earlier steps of the phase, from 0: the argument of a ramp. (`step` counts from 1.)"""
        return self.step - 1

    @cached_property
    def samples(self) -> tuple[Attempt, ...]:
        """The S attempts, group after group."""
        return tuple(a for g in self.groups for a in g.attempts)

    @cached_property
    def group_S(self) -> Index:
        return np.repeat(np.arange(len(self.groups)), [len(g.attempts) for g in self.groups]).astype(np.int64)

    @cached_property
    def reward_S(self) -> Array:
        """[S], NaN where there is no reward (a verdict without a score, a document)."""
        return np.array([np.nan if a.reward is None else a.reward for a in self.samples], dtype=np.float64)

    def scored_groups(self) -> Iterator[tuple[Index, Array]]:
        """For each group, the indices in S of its scored samples, and their rewards. Groups with fewer than two of them
        are left out: they have nothing to compare."""
        scored_S = ~np.isnan(self.reward_S)
        for group in range(len(self.groups)):
            mine = np.flatnonzero((self.group_S == group) & scored_S)
            if len(mine) > 1:
                yield mine, self.reward_S[mine]

    @cached_property
    def parts_S(self) -> Mapping[str, Array]:
        """Each part of the rewards by name, [S]: NaN where there is no reward, like `reward_S`, which is their sum."""
        return {
            name: np.array([a.parts.get(name, np.nan) for a in self.samples], dtype=np.float64)
            for name in self.part_names
        }

    @cached_property
    def tokens(self) -> Tokens:
        """The trained tokens of the whole step."""
        attempts = self.samples
        length_S = np.array([a.num_trained for a in attempts], dtype=np.int64)
        positions = [np.flatnonzero(np.asarray(a.trained, dtype=bool)) for a in attempts]
        position_N = np.concatenate(positions).astype(np.int64) if positions else np.zeros(0, np.int64)
        ids = [np.asarray(a.tokens, dtype=np.int64)[p] for a, p in zip(attempts, positions, strict=True)]
        return Tokens(
            id_N=np.concatenate(ids).astype(np.int64) if ids else np.zeros(0, np.int64),
            sample_N=np.repeat(np.arange(len(attempts)), length_S).astype(np.int64),
            position_N=position_N,
            length_S=length_S,
            group_S=self.group_S,
        )

    @cached_property
    def token_ends(self) -> Index:
        """[S], the end (exclusive) of each sample's trained tokens in N."""
        return np.cumsum(self.tokens.length_S)

    def split(self, num_parts: int) -> list[Step]:
        """Minibatches of whole groups, in order, as even as possible: one per optimizer step of `updates_per_batch`."""
        bounds = np.linspace(0, len(self.groups), num_parts + 1).round().astype(int)
        return [
            replace(self, groups=self.groups[a:b], discarded=()) for a, b in zip(bounds[:-1], bounds[1:], strict=True)
        ]


@dataclass(frozen=True)
class Decoding:
    """How responses are sampled; temperature 0 is greedy, top_p 1 and top_k 0 are off."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 1024
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draw:
    """How an evaluator samples: n = `samples` responses for each of the first `limit` questions (None: all).

    `k` are the sizes that pass@k is estimated for, and maj@k and G-Pass@k with it; empty is pass@k for 1 and n.
    `protocol` names where decoding and samples come from, "off" the settings alone.
    """

    decoding: Decoding
    samples: int
    seed: int
    limit: int | None = None
    k: tuple[int, ...] = ()
    protocol: str = "off"

    @property
    def sizes(self) -> tuple[int, ...]:
        """The wanted k that n responses can tell, each once, in rising order."""
        return tuple(sorted({k for k in self.k if k <= self.samples} or {1, self.samples}))


@dataclass(frozen=True)
class Request:
    """One prompt to be continued once per seed; equal seeds on equal weights yield equal samples."""

    context: tuple[int, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Generation:
    """One continuation: its tokens (EOS included when sampled), their log-probabilities under the tempered distribution,
    the entropies of that distribution where the engine computes them, and why it stopped.

    For `stop == "stop"` the tokens include the stop string's.
    """

    tokens: tuple[int, ...]
    logps: tuple[float, ...]
    stop: Literal["eos", "stop", "length"]
    entropies: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Rendering:
    """How a row becomes the model's input: `chat` is "off" or the arguments of the chat template."""

    chat: Mapping[str, Any] | Literal["off"] = field(default_factory=dict)
    system: str | None = None
    template: str | None = None


@dataclass(frozen=True)
class Row:
    """A row of a data set before rendering; `where` is its location in error messages ("train.jsonl:17")."""

    where: str
    question: str | None = None
    gold: str | None = None
    document: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StepRecord:
    """The record of a finished step for schedules, trackers and displays.

    `metrics` are those of `events.jsonl`; token counts are this step's (generated ones include discarded groups);
    `scores` are those computed since the previous step, by "task/metric".
    """

    phase: str
    step: int
    global_step: int
    updates: int
    applied: int
    metrics: Mapping[str, float]
    generated_tokens: int
    trained_tokens: int
    seconds: Mapping[str, float]
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """One line of scores.json: a value with its sample counts, interval, seed, decoding, versions and token budget.

    `low` and `high` bound a 95 % interval of the construction that `interval` names; both are NaN where that is "none".
    `protocol` names the decoding protocol, "off" where the settings alone say how it was sampled. `fewshot` says where the
    few-shot examples of a task with local rows come from: "5 of train.jsonl"; "0" or "2 of the task's" where only their
    number is not the task's own; "task" where the task itself says it. Of the responses of the task: `truncated` and
    `unparsable` are shares, `mean_length` is tokens a response, `tokens_scored` tokens in all; None where nothing was
    sampled, or no verifier reads answers. `generated_tokens` and `trained_tokens` are those of the training that came
    before.
    """

    phase: str
    global_step: int
    task: str
    metric: str
    value: float
    low: float
    high: float
    questions: int
    samples_per_question: int
    seed: int
    decoding: Mapping[str, Any]
    harness: str
    task_version: str
    task_hash: str
    template_hash: str
    generated_tokens: int
    trained_tokens: int
    protocol: str = "off"
    truncated: float | None = None
    unparsable: float | None = None
    mean_length: float | None = None
    tokens_scored: int | None = None
    interval: str = NOT_RECORDED
    fewshot: str = "task"

    def as_row(self) -> dict[str, Any]:
        """The line as JSON has it: a bound that does not exist is null."""
        return {**asdict(self), "low": _finite(self.low), "high": _finite(self.high)}

    def bounds_text(self, digits: int = 4) -> str:
        """ "[0.2100, 0.3900]"; a dash where there is no interval."""
        return "-" if math.isnan(self.low) else f"[{self.low:.{digits}f}, {self.high:.{digits}f}]"

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Score:
        """The score of such a line; what an earlier version has not written takes its default. Raises TypeError for a missing
        or an unknown key."""
        bounds = {name: math.nan if row[name] is None else row[name] for name in ("low", "high") if name in row}
        return cls(**{**row, **bounds})


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
