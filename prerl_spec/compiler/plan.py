"""The plan of a run: the records that `plan` prints, `plan.json` stores and the digest covers.

Plain frozen dataclasses. A value that cannot be known before the run is `unknown` with a reason, never a guess.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

from prerl_spec.compiler.graph import Cut
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.storage.sealed import object_text

FORMAT = 1
LEFT_OUT = frozenset({"start", "cut"})
"""Fields that are absent from the JSON of a plan without them."""


@dataclass(frozen=True)
class ComponentPlan:
    """A component with every setting, defaults included; `slots` holds its nested components."""

    kind: str
    use: str
    distribution: str
    distribution_version: str
    version: int
    """Behaviour version of the component."""
    settings: Mapping[str, Any]
    slots: Mapping[str, "ComponentPlan | tuple[ComponentPlan, ...]"]
    expansion: Mapping[str, str] = field(default_factory=dict)
    """What the settings stand for: of a policy gradient, its point in the product, part by part. Not in the digest."""
    ratio_settings: tuple[str, ...] = ()
    """Settings that act on the ratio to the old policy: without effect where that ratio is 1."""
    unlike: Mapping[str, str] = field(default_factory=dict)
    """Setting -> where the defaults in force differ from the paper's, or from those of the same name elsewhere."""
    handed_on: tuple[str, ...] = ()
    """Settings passed through to another library verbatim: not interpreted."""
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Settings that name local files or folders -> SHA-256 of their content ("absent" for a missing path)."""

    @property
    def inner(self) -> "tuple[ComponentPlan, ...]":
        """The components in its slots."""
        return tuple(t for inner in self.slots.values() for t in (inner if isinstance(inner, tuple) else (inner,)))


@dataclass(frozen=True)
class DataPlan:
    """A data set: its number of rows and the SHA-256 of their content, where they can be read on this machine."""

    component: ComponentPlan
    rows: int | None
    fingerprint: str | None
    unknown: str | None = None
    """Why rows and fingerprint are unknown."""


@dataclass(frozen=True)
class Forward:
    """One forward pass of a step: view, weights (`of`), with or without gradient. Of a probe `of` is "gradient" or "watch"
    where the policy is asked."""

    view: str
    of: str
    gradient: bool
    samples: int
    context_tokens: int | None
    entropy: bool = False
    teacher: str | None = None
    """Key of the teacher that scores, None for the policy and its earlier weights."""
    sharing: int = 1
    """Samples that have one context and go forward behind it together, in models of causal attention: a group's."""


@dataclass(frozen=True)
class ProbeCost:
    """What a probe that looks at updates asks of the model on each step that it measures, at most."""

    use: str
    every: int
    forwards: tuple[Forward, ...]
    gradients_held: int
    """Gradients that are alive at once: 4 bytes per trained parameter each."""


@dataclass(frozen=True)
class ViewPlan:
    """The context that precedes a response in a view: token ids and text, for the first prompt."""

    name: str
    ids: tuple[int, ...]
    text: str


@dataclass(frozen=True)
class Example:
    """The first row of a phase's data, exactly as the model will see it."""

    data: str
    where: str
    """Location of the row: "train.jsonl:1"."""
    text: str
    ids: tuple[int, ...]
    gold: str | None
    document: str | None
    """The text that is trained on, in a phase without rollouts."""
    template: str
    """How it was rendered: "the chat template", "no chat template", "chat = off", "no question"."""
    views: tuple[ViewPlan, ...]
    mean_context_tokens: float
    mean_document_tokens: float | None
    """Over the first rows (see first_prompt.py)."""


@dataclass(frozen=True)
class EngineMemory:
    """Memory of a GPU, in bytes, that the trainer and an engine of its sampler use in turns."""

    sampling: Mapping[str, int]
    """While the engine samples."""
    training: Mapping[str, int]
    """While the trainer trains, and the engine sleeps."""
    weights: int
    """The engine's own, part of what it takes while it samples."""
    cached_tokens: int
    """Tokens that the rest of it has room for: an upper bound, since it computes in it too."""


@dataclass(frozen=True)
class Cost:
    """Estimated peak memory of one process (bytes) and time of one step (seconds), for responses of maximum length: with
    rollouts a bound, since a response may end early."""

    memory_bytes: Mapping[str, int]
    seconds_per_step: float
    teraflop_per_step: float
    basis: str
    device_bytes: int | None = None
    """Memory available to one process on the planning machine."""
    engine: EngineMemory | None = None
    """None unless trainer and engine take turns on a GPU."""
    seconds_without_responses: float | None = None
    """Seconds of a step whose responses are empty: between it and the bound the time grows with their mean length. None
    without rollouts."""

    def seconds_at(self, share: float) -> float:
        """Seconds of a step whose responses have this share of their maximum length, on average."""
        if self.seconds_without_responses is None:
            return self.seconds_per_step
        return self.seconds_without_responses + share * (self.seconds_per_step - self.seconds_without_responses)


@dataclass(frozen=True)
class Ports:
    """A port that a component of the phase consumes, and the component that provides it."""

    component: str
    port: str
    provider: str


@dataclass(frozen=True)
class PhasePlan:
    """One planned phase: its components, batch arithmetic, forward passes and cost."""

    id: str
    data: Mapping[str, float]
    """Data set -> share, summing to 1."""
    uses_rollouts: bool
    """Whether responses are sampled from the policy (False: trains on documents)."""
    objective: ComponentPlan
    schedule: ComponentPlan
    optimizer: ComponentPlan
    sampler: ComponentPlan | None
    verifier: ComponentPlan | None
    rewards: tuple[ComponentPlan, ...]
    filters: tuple[ComponentPlan, ...]
    probes: tuple[ComponentPlan, ...]
    units_per_step: int
    """Prompts or documents."""
    group_size: int
    attempts_per_step: int
    updates_per_batch: int
    steps: int | None
    """None if the phase ends by a token budget."""
    updates: int | None
    tokens_per_pass: int
    tokens_per_pass_written: bool
    passes_at_most: int | None
    """Passes of an update on one process, if every response has the maximum length."""
    refill_rounds: int
    max_new_tokens: int
    sampled_tokens_at_most: int | None
    epochs: float | None
    dropped_rows: int | None
    """Rows of the incomplete last batch of an epoch."""
    forwards: tuple[Forward, ...]
    ports: tuple[Ports, ...]
    carry_optimizer: bool | None
    """Whether the next phase inherits the optimizer's moments; None for the last phase."""
    example: Example | None
    example_unknown: str | None
    cost: Cost | None
    cost_unknown: str | None
    notes: tuple[str, ...]
    probe_costs: tuple[ProbeCost, ...] = ()


@dataclass(frozen=True)
class TaskPlan:
    """How an evaluator samples one task, with the sampler that it uses first; what is not known is None.

    Example: `TaskPlan("aime24_boxed", 30, 64, {"temperature": 0.6, "top_p": 0.95, …}, "open-r1")`. `decoding` is also None
    where `generates` is False: the task is scored by log-probabilities.
    """

    task: str
    questions: int | None
    samples: int | None
    decoding: Mapping[str, Any] | None
    protocol: str = "off"
    note: str | None = None
    generates: bool = True


@dataclass(frozen=True)
class EvaluatorPlan:
    """An evaluator, its number of evaluation rounds, and the maximum tokens that they generate."""

    component: ComponentPlan
    rounds: int | None
    questions: int | None
    tokens_at_most: int | None
    unknown: str | None = None
    tasks: tuple[TaskPlan, ...] = ()


@dataclass(frozen=True)
class StartPoint:
    """The checkpoint of another run from which a run begins, and what its phase hands over.

    Example: `StartPoint("/runs/dsrl", "pretrain", True, "/runs/dsrl/checkpoints/step-000650", "3f0a…", 650, 650, 0, 91200, …)`.
    """

    run: str
    """Absolute path of the run folder."""
    phase: str
    ended: bool
    """False: the phase had further steps to take, or may get some."""
    checkpoint: str
    """Absolute path of the checkpoint."""
    content: str
    """SHA-256 over weights, moments, position and what is handed over: not over times or paths."""
    step: int
    """Steps that the phase had taken."""
    global_step: int
    generated_tokens: int
    trained_tokens: int
    max_steps: int | None
    """The most steps that the phase could take; None if a token budget ended it."""
    optimizer: Literal["carry", "reset"] | None
    """As the phase's schedule says; None: carried where the next phase has the same optimizer."""
    optimizer_use: tuple[str, str]
    """Name and distribution of the optimizer that the moments belong to."""
    lr_schedule: Literal["restart", "carry"]
    reference: Literal["resync", "keep"]
    data: Literal["carry", "restart"]
    kept_reference: str | None
    """With `keep`: the checkpoint folder whose weights, or the file whose tensors, are the reference model; None: the
    initial model."""
    initial_model: str
    """SHA-256 over the declaration of the initial model of the run where all began."""

    def carries_moments(self, optimizer: ComponentPlan) -> bool:
        """Whether a first phase with this optimizer inherits the moments."""
        if self.optimizer is not None:
            return self.optimizer == "carry"
        return self.optimizer_use == (optimizer.use, optimizer.distribution)


@dataclass(frozen=True)
class StartPlan:
    """`start.from`: as written, the absolute paths that it may mean, and what it is where it can be read here."""

    origin: str
    places: tuple[str, ...]
    """Folders of the run, or of its checkpoint, in the order in which they are tried."""
    phase: str | None
    """Of RUN@PHASE; None for a checkpoint folder."""
    found: StartPoint | None
    unknown: str | None = None
    """Why `found` is None."""
    hint: str | None = None


@dataclass(frozen=True)
class PrerequisitePlan:
    """A prerequisite of running the plan. `met` is None if only the run itself can determine it."""

    what: Literal[
        "package",
        "model",
        "dataset",
        "file",
        "gpu",
        "secret",
        "server",
        "part",
        "setting",
        "disk",
        "tokenizer",
        "start",
        "task",
        "folder",
        "rows",
        "length",
    ]
    name: str
    revision: str | None
    by: tuple[str, ...]
    met: bool | None
    found: str
    hint: str


@dataclass(frozen=True)
class Change:
    """A setting that differs from its default, and its origin: "dsrl.toml:12", "--set #1"."""

    path: str
    value: Any
    default: Any
    origin: str


@dataclass(frozen=True)
class Value:
    """A leaf of the resolved spec: `Value("optimizer.lr", '"${vars.lr}"', 1e-6, "dsrl.toml:38:6", "dsrl.toml:9:6")`."""

    path: str
    given: str | None
    """As written, references unresolved; None for a default."""
    resolved: Any
    origin: str
    """file:line:column, "--set #1", or "default"."""
    defined: str | None = None
    """Where the referenced value is defined; None for a value that is not a reference."""


@dataclass(frozen=True)
class Plan:
    """The plan of a whole run; `digest` covers its meaning (see digest.py)."""

    name: str
    seed: int
    output_dir: str
    digest: str
    prerl_spec: str
    spec_file: str
    spec_text: str
    """Content of the spec file, unchanged."""
    model: ComponentPlan
    num_parameters: int | None
    data: Mapping[str, DataPlan]
    sampler: ComponentPlan | None
    verifier: ComponentPlan | None
    phases: tuple[PhasePlan, ...]
    evaluators: tuple[EvaluatorPlan, ...]
    evaluation_share: float | None
    """Evaluation's share of all generated tokens, if every response has the maximum length."""
    estimated_seconds: float | None
    """Training and evaluation; None if a part of it is unknown."""
    trackers: tuple[ComponentPlan, ...]
    distributed: Mapping[str, Any]
    checkpoint: Mapping[str, int]
    reference: Literal["initial", "off"] | None
    prerequisites: tuple[PrerequisitePlan, ...]
    changes: tuple[Change, ...]
    hardware: Hardware
    notes: tuple[str, ...]
    plugin_files: Mapping[str, str] = field(default_factory=dict)
    """Absolute path of each local plugin file (components named `local.NAME`) -> SHA-256 of its content."""
    code_files: Mapping[str, str] = field(default_factory=dict)
    """Absolute path of each file whose code a component's settings run (tasks of an `include` folder) -> SHA-256."""
    values: tuple[Value, ...] = ()
    """Every value as written and as resolved, with its origin."""
    streams: Literal["global", "phase"] = "global"
    """What random streams and the data cursor hang on; absent from the JSON where it is "global"."""
    computing: Mapping[str, str] = field(default_factory=dict)
    """How a forward of training and each sampler that says so will compute, as far as it is known before they open."""
    adapter_parameters: int | None = None
    """Trainable parameters of the adapter; None if there is no adapter or its size is unknown."""
    cut: Cut | None = None
    """Only a study writes one (see planning/cut.py)."""
    start: StartPlan | None = None
    """The other run's phase that this run begins from; None: it begins from its initial model."""
    format: int = FORMAT

    @property
    def unmet(self) -> tuple[PrerequisitePlan, ...]:
        """Prerequisites known to be unmet on the planning machine: a run there exits with code 3."""
        return tuple(n for n in self.prerequisites if n.met is False)

    def components(self) -> Iterator[ComponentPlan]:
        """Every component outside the data sets, those in slots included."""
        parts = [self.model, self.sampler, self.verifier, *self.trackers, *(e.component for e in self.evaluators)]
        for phase in self.phases:
            parts += [phase.objective, phase.schedule, phase.optimizer, phase.sampler, phase.verifier]
            parts += [*phase.rewards, *phase.filters, *phase.probes]
        while parts:
            if (part := parts.pop()) is not None:
                yield part
                for inner in part.slots.values():
                    parts += inner if isinstance(inner, tuple) else (inner,)

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON-serializable values: every field, but for those of `LEFT_OUT` that are None, and for `streams`
        where it is "global"."""
        dumped = _adapter().dump_python(self, mode="json")
        assert isinstance(dumped, dict)
        absent = {name for name in LEFT_OUT if dumped[name] is None}
        if self.streams == "global":
            absent.add("streams")
        return {key: value for key, value in dumped.items() if key not in absent}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Plan":
        """The inverse of `as_json`. Raises pydantic.ValidationError for any other value."""
        return _adapter().validate_python(dict(value))

    def text(self) -> str:
        """The content of plan.json, with its seal."""
        return object_text(self.as_json())


@cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)
