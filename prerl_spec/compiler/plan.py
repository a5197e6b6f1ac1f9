"""Everything that a run will do, written out: what `plan` prints, `plan.json` holds and the digest covers.

Plain frozen data. What cannot be known before a run is an `unknown` text with its reason, never a guess.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

from prerl_spec.compiler.hardware import Hardware

FORMAT = 1


@dataclass(frozen=True)
class ComponentPlan:
    """A component with every setting, defaults written out; `slots` holds the components nested in it."""

    kind: str
    use: str
    distribution: str
    distribution_version: str
    version: int
    """Behaviour version: what the settings mean."""
    settings: Mapping[str, Any]
    slots: Mapping[str, "ComponentPlan | tuple[ComponentPlan, ...]"]
    handed_on: tuple[str, ...] = ()
    """Settings that go to another library as they stand: not interpreted."""
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Settings that name local files or folders -> SHA-256 of what lies there ("absent" where nothing does)."""


@dataclass(frozen=True)
class DataPlan:
    """A data set: its rows where they can be counted here, and what they say as a SHA-256."""

    component: ComponentPlan
    rows: int | None
    fingerprint: str | None
    unknown: str | None = None
    """Why rows and fingerprint are not known."""


@dataclass(frozen=True)
class Forward:
    """One forward of the step: which view of the samples, through which weights, with or without gradient."""

    view: str
    of: str
    gradient: bool
    samples: int
    context_tokens: int | None
    entropy: bool = False


@dataclass(frozen=True)
class ViewPlan:
    """What stands before a response in a view: the ids and text for the first prompt."""

    name: str
    ids: tuple[int, ...]
    text: str


@dataclass(frozen=True)
class Example:
    """The first row of a phase's data, exactly as the model will see it."""

    data: str
    where: str
    """Its place: "train.jsonl:1"."""
    text: str
    ids: tuple[int, ...]
    gold: str | None
    document: str | None
    """The text that is trained on, in a phase that samples nothing."""
    template: str
    """What rendered it: "the chat template", "no chat template", "chat = off", "no question"."""
    views: tuple[ViewPlan, ...]
    mean_context_tokens: float
    mean_document_tokens: float | None
    """Over the first rows (see first_prompt.py)."""


@dataclass(frozen=True)
class Cost:
    """Estimated bytes of one process at its peak and time of one step, with responses as long as they may be."""

    memory_bytes: Mapping[str, int]
    seconds_per_step: float
    teraflop_per_step: float
    basis: str
    device_bytes: int | None = None
    """Memory that one process may take where the plan was made."""


@dataclass(frozen=True)
class Ports:
    """What a phase's component asks for, and who provides it."""

    component: str
    port: str
    provider: str


@dataclass(frozen=True)
class PhasePlan:
    """One phase as decided: who serves it, how many of what, and what it costs."""

    id: str
    data: Mapping[str, float]
    """Data set -> share, summing to 1."""
    uses_rollouts: bool
    """Whether responses are drawn from the policy (False: documents)."""
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
    """None where a token budget ends the phase."""
    updates: int | None
    tokens_per_pass: int
    tokens_per_pass_written: bool
    passes_at_most: int | None
    """Passes of an update on one process, were every response as long as it may be."""
    refill_rounds: int
    max_new_tokens: int
    sampled_tokens_at_most: int | None
    epochs: float | None
    dropped_rows: int | None
    """Rows at the end of an epoch that make no whole batch."""
    forwards: tuple[Forward, ...]
    ports: tuple[Ports, ...]
    carry_optimizer: bool | None
    """Whether the next phase inherits the moments; None for the last phase."""
    example: Example | None
    example_unknown: str | None
    cost: Cost | None
    cost_unknown: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class EvaluatorPlan:
    """An evaluator, how often it scores, and the tokens that costs at most."""

    component: ComponentPlan
    rounds: int | None
    questions: int | None
    tokens_at_most: int | None
    unknown: str | None = None


@dataclass(frozen=True)
class PrerequisitePlan:
    """Something that running needs from outside. `met` is None where only the run can tell."""

    what: Literal["package", "model", "dataset", "file", "gpu", "secret", "server", "part", "setting"]
    name: str
    revision: str | None
    by: tuple[str, ...]
    met: bool | None
    found: str
    hint: str


@dataclass(frozen=True)
class Change:
    """A setting that differs from its default, and where that came from: "dsrl.toml:12", "--set #1"."""

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
    """Where a reference found it."""


@dataclass(frozen=True)
class Plan:
    """The whole run. `meaning` is what the digest covers (see digest.py)."""

    name: str
    seed: int
    output_dir: str
    digest: str
    prerl_spec: str
    spec_file: str
    spec_text: str
    """As given."""
    model: ComponentPlan
    num_parameters: int | None
    data: Mapping[str, DataPlan]
    sampler: ComponentPlan | None
    verifier: ComponentPlan | None
    phases: tuple[PhasePlan, ...]
    evaluators: tuple[EvaluatorPlan, ...]
    evaluation_share: float | None
    """Of all generated tokens, were every response as long as it may be."""
    estimated_seconds: float | None
    """Training and evaluation, None where a part is not known."""
    trackers: tuple[ComponentPlan, ...]
    distributed: Mapping[str, Any]
    checkpoint: Mapping[str, int]
    reference: Literal["initial", "off"] | None
    prerequisites: tuple[PrerequisitePlan, ...]
    changes: tuple[Change, ...]
    hardware: Hardware
    notes: tuple[str, ...]
    plugin_files: Mapping[str, str] = field(default_factory=dict)
    """Python files whose components the spec names as `local.NAME`, absolute -> SHA-256 of what they said."""
    values: tuple[Value, ...] = ()
    """Given, resolved and origin of every value."""
    adapter_parameters: int | None = None
    """Of the adapter that is trained in place of the model's own, None where there is none or its size is not known."""
    format: int = FORMAT

    @property
    def unmet(self) -> tuple[PrerequisitePlan, ...]:
        """Needs that are known not to be met where the plan was made: a run there would end with exit code 3."""
        return tuple(n for n in self.prerequisites if n.met is False)

    def as_json(self) -> dict[str, Any]:
        """JSON-able, every field written."""
        dumped = _adapter().dump_python(self, mode="json")
        assert isinstance(dumped, dict)
        return dumped

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Plan":
        """The inverse of `as_json`. Raises pydantic.ValidationError for anything else."""
        return _adapter().validate_python(dict(value))

    def text(self) -> str:
        """What plan.json holds: sorted keys, one final newline."""
        return json.dumps(self.as_json(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)
