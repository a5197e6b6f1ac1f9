"""The core grammar: the tables and keys of a spec, apart from component settings. Components are plain tables here."""

import re
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

from prerl_spec.text_forms import PHASE_ID, RUN_NAME, TASK_AND_METRIC

LANGUAGE_VERSION = 1

PositiveInt = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""An integer of TOML; that of initial weights has to fit into 64 bits."""
Reference = str | dict[str, Any]
"""A component as written: a table with `use`, or the name alone."""


class Part(NamedTuple):
    """Marks a key that holds components of a kind: one, a list, or a table of named ones."""

    kind: str
    form: Literal["one", "list", "named"] = "one"


class Section(BaseModel):
    """A core table: strict, frozen, closed."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, hide_input_in_errors=True
    )


class RunSpec(Section):
    name: Annotated[str, Field(pattern=RUN_NAME)] = Field(description="Name of the run and of its folder.")
    seed: Seed = Field(
        0, description="Seed of data order and sampling, and of initial weights that have no seed of their own."
    )
    output_dir: str = Field("runs", description="Folder in which run folders are created.")
    streams: Literal["global", "phase"] = Field(
        "global",
        description="What data order and the seeds of samples hang on: the run's step, with one order of the data for all "
        "phases; or the phase's, each phase with an order of its own.",
    )


class PluginsSpec(Section):
    files: tuple[str, ...] = Field(
        (), description="Python files beside the spec whose components become local.NAME; needs --local-code."
    )


class StartSpec(Section):
    origin: Annotated[str, Field(alias="from", min_length=1)] = Field(
        description="RUN@PHASE, or a checkpoint folder: its weights, optimizer moments and data position."
    )


class DistributedSpec(Section):
    processes: PositiveInt = Field(1, description="Number of data-parallel processes.")
    strategy: Literal["ddp", "fsdp2"] = Field(
        "ddp", description="ddp: every process holds the model; fsdp2: each holds a shard."
    )
    precision: Literal["float32", "bfloat16", "float16"] | None = Field(
        None, description="Compute dtype of forward passes; default: model.dtype."
    )
    activation_checkpointing: bool = Field(
        False, description="Recompute activations in the backward pass, to save memory."
    )
    determinism: Literal["fast", "invariant"] = Field(
        "fast", description="invariant: identical results on any number of processes."
    )
    fsdp: dict[str, Any] = Field(
        {},
        description="Settings of FSDP2: gradients (summed once an `update` or `pass`), reshard_after_forward, mp_policy.",
    )


class CheckpointSpec(Section):
    every: PositiveInt = Field(50, description="Steps between checkpoints.")
    keep: PositiveInt = Field(2, description="Number of checkpoints to keep; those at phase ends are always kept.")


class StudySpec(Section):
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = Field(
        description="Seeds; every arm is run with each of them.", examples=[[0, 1, 2]]
    )
    arms: Annotated[dict[str, str | dict[str, Any]], Field(min_length=1)] = Field(
        description="Arm name -> overlay, as a table or a file."
    )
    match: Literal["generated_tokens", "trained_tokens", "steps", "seconds"] = Field(
        "generated_tokens",
        description="Budget at which arms are compared: generated tokens, trained tokens, steps or seconds.",
    )
    budget: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Amount of what `match` counts (seconds are those of training) at which every arm ends; default: what "
        "the first arm takes.",
    )
    primary: Annotated[str, Field(pattern=TASK_AND_METRIC)] | None = Field(
        None, description="The primary score, as task/metric."
    )
    prior_sd: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Expected standard deviation, over seeds, of the difference of two arms in the primary score, in units "
        "of the score (0.02: two points); the detectable effect is stated from it where no earlier run tells.",
    )


class PhaseSpec(Section):
    id: Annotated[str, Field(pattern=PHASE_ID)] = Field(description="Unique name of the phase.")
    after: str | None = Field(None, description="Id of the phase that this one follows.")
    data: str | Annotated[dict[str, Annotated[float, Field(gt=0)]], Field(min_length=1)] = Field(
        "train", description="A data set, or a mixture: data set -> weight."
    )
    prompts_per_step: PositiveInt | None = Field(
        None, description="Prompts per step, in a phase that samples; times group_size = samples per step."
    )
    documents_per_step: PositiveInt | None = Field(
        None, description="Documents per step, in a phase that does not sample."
    )
    updates_per_batch: PositiveInt = Field(
        1, description="Optimizer updates per batch, which is split into minibatches of whole groups."
    )
    tokens_per_pass: PositiveInt | None = Field(
        None, description="Tokens per forward and backward pass; default: chosen by plan."
    )
    objective: Annotated[Reference, Part("objective")] = Field(
        description="The objective that the phase trains.", examples=["grpo"]
    )
    schedule: Annotated[Reference, Part("schedule")] = Field(
        description="When the phase ends and what the next one inherits."
    )
    sampler: Annotated[Reference | None, Part("sampler")] = Field(None, description="Replaces the top-level sampler.")
    verifier: Annotated[Reference | None, Part("verifier")] = Field(
        None, description="Replaces the top-level verifier."
    )
    rewards: Annotated[tuple[Reference, ...] | None, Part("reward", "list")] = Field(
        None, description="Replaces the top-level rewards."
    )
    filters: Annotated[tuple[Reference, ...] | None, Part("filter", "list")] = Field(
        None, description="Replaces the top-level filters."
    )
    optimizer: Annotated[Reference | None, Part("optimizer")] = Field(
        None, description="Replaces the top-level optimizer."
    )
    probes: Annotated[tuple[Reference, ...] | None, Part("probe", "list")] = Field(
        None, description="Replaces the top-level probes."
    )


class Spec(Section):
    """The top level; `phases` and `evaluate` may each be empty, but not both."""

    spec: int = Field(description="Language version.")
    extends: tuple[str, ...] = Field(
        (), description="Parent specs, merged left to right; paths are relative to this file."
    )
    unset: tuple[str, ...] = Field((), description="Inherited keys to remove, such as sampler.stop.")
    requires: dict[str, str] = Field(
        {}, description="Distribution -> version specifier, checked before anything is imported."
    )
    plugins: PluginsSpec = Field(PluginsSpec(), description="Components in Python files beside the spec.")
    vars: dict[str, Any] = Field({}, description="Values for ${vars.NAME} references.")
    run: RunSpec = Field(description="Name, seed and output folder of the run.")
    model: Annotated[Reference, Part("model")] = Field(description="The model to train.")
    data: Annotated[dict[str, Reference], Part("data", "named")] = Field(
        {}, description="Data sets by name; phases use `train` by default."
    )
    sampler: Annotated[Reference | None, Part("sampler")] = Field(
        None, description="Samples responses, for phases without their own sampler."
    )
    verifier: Annotated[Reference | None, Part("verifier")] = Field(
        None, description="Judges responses, for phases and data sets without their own verifier."
    )
    rewards: Annotated[tuple[Reference, ...] | None, Part("reward", "list")] = Field(
        None, description="Reward terms that are added to the verifier's score."
    )
    filters: Annotated[tuple[Reference, ...] | None, Part("filter", "list")] = Field(
        None, description="Decide which groups are kept in a step."
    )
    optimizer: Annotated[Reference | None, Part("optimizer")] = Field(
        None, description="Optimizer of phases without their own."
    )
    reference: Literal["initial", "off"] | None = Field(
        None, description="The reference model of `kl`; default: created when a term needs it."
    )
    distributed: DistributedSpec = Field(DistributedSpec(), description="Processes and precision.")
    checkpoint: CheckpointSpec = Field(CheckpointSpec(), description="Checkpoint interval and retention.")
    evaluate: Annotated[tuple[Reference, ...], Part("evaluator", "list")] = Field(
        (), description="Evaluators that score the model."
    )
    probes: Annotated[tuple[Reference, ...] | None, Part("probe", "list")] = Field(
        None, description="Probes: additional metrics of every step."
    )
    trackers: Annotated[tuple[Reference, ...], Part("tracker", "list")] = Field(
        (), description="Where metrics are logged besides events.jsonl."
    )
    phases: tuple[PhaseSpec, ...] = Field((), description="The training phases, in order.")
    start: StartSpec | None = Field(None, description="Start from a checkpoint of another run.")
    study: StudySpec | None = Field(None, description="The same experiment in several arms.")


@cache
def _component_places() -> re.Pattern[str]:
    """Paths where the core grammar has a component."""
    places: list[str] = []
    for prefix, model in (("", Spec), (r"phases\[\d+\]\.", PhaseSpec)):
        for key, info in model.model_fields.items():
            for part in (m for m in info.metadata if isinstance(m, Part)):
                form = {"one": "", "list": r"\[\d+\]", "named": r"\.(?:[A-Za-z0-9_-]+|\".*\")"}[part.form]
                places.append(f"{prefix}{key}{form}")
    return re.compile("|".join(places))


def places_of(kind: str) -> tuple[str, ...]:
    """How the core grammar writes the places of a kind: `[sampler]` and `[phases.sampler]`, `[[probes]]`, `[data.NAME]`."""
    forms = {"one": "[{}]", "list": "[[{}]]", "named": "[{}.NAME]"}
    return tuple(
        forms[part.form].format(prefix + key)
        for prefix, model in (("", Spec), ("phases.", PhaseSpec))
        for key, info in model.model_fields.items()
        for part in info.metadata
        if isinstance(part, Part) and part.kind == kind
    )


def holds_list(key: str) -> bool | None:
    """Whether a key of the top level holds a list; None for one that the grammar does not know."""
    info = Spec.model_fields.get(key)
    if info is None:
        return None
    return any(get_origin(form) is tuple for form in (info.annotation, *get_args(info.annotation)))


def header_of(path: str) -> str:
    """The header that names a path: `phases.objective` for `phases[0].objective`."""
    return re.sub(r"\[\d+\]", "", path)


@cache
def _core_tables() -> re.Pattern[str]:
    """Paths where the core grammar itself has a table."""
    sections = [key for key, info in Spec.model_fields.items() if _is_section(info.annotation)]
    return re.compile("|".join(["", "data", "vars", "requires", r"phases\[\d+\]", *sections]))


def _is_section(annotation: Any) -> bool:
    return any(isinstance(a, type) and issubclass(a, Section) for a in (annotation, *get_args(annotation)))


def is_core_table(path: str) -> bool:
    """Whether the table at this path is the core's own, not a component's."""
    return _core_tables().fullmatch(path) is not None


def is_component_place(path: str) -> bool:
    """Whether the core grammar has a component at this path (slots inside components are not known here)."""
    return _component_places().fullmatch(path) is not None
