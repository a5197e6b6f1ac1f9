"""The compiled graph: component declarations by role, ready for the engine to open. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from prerl_spec.registry.kinds.data import Data
from prerl_spec.registry.kinds.evaluator import Evaluator
from prerl_spec.registry.kinds.judging import Filter, Reward, Verifier
from prerl_spec.registry.kinds.model import Model
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.sampler import Sampler
from prerl_spec.registry.kinds.schedule import Optimizer, Schedule
from prerl_spec.registry.kinds.watching import Probe, Tracker

C_co = TypeVar("C_co", covariant=True)


@dataclass(frozen=True)
class Named(Generic[C_co]):
    """A component of the graph, typed by its kind's Protocol (`Named[Objective]`), with its name in the spec."""

    use: str
    component: C_co


@dataclass(frozen=True)
class RunSettings:
    name: str
    seed: int
    output_dir: Path
    streams: Literal["global", "phase"] = "global"


@dataclass(frozen=True)
class Distributed:
    processes: int = 1
    strategy: Literal["ddp", "fsdp2"] = "ddp"
    precision: str | None = None
    activation_checkpointing: bool = False
    determinism: Literal["fast", "invariant"] = "fast"
    fsdp: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Checkpointing:
    every: int = 50
    keep: int = 2


Counted = Literal["generated_tokens", "trained_tokens", "steps", "seconds"]
"""What the budget of a study counts, as `[study] match` names it."""


@dataclass(frozen=True)
class Cut:
    """Where a study ends a run, whatever its schedules say: `Cut("generated_tokens", 200_000)`.

    The run ends at the first step after which `budget` of what `match` counts has been taken since its start. `before` is
    what counts besides: taken by phases that arms of the study share, and that this run starts behind.
    """

    match: Counted
    budget: float
    before: float = 0.0

    def __post_init__(self) -> None:
        # A whole number would be written without a point, read back with one, and have another digest.
        object.__setattr__(self, "budget", float(self.budget))
        object.__setattr__(self, "before", float(self.before))


@dataclass(frozen=True)
class Phase:
    """One phase and its components: for each role the phase's own one, else the top-level one."""

    id: str
    data: Mapping[str, float]
    """Data set name -> share, summing to 1."""
    prompts_per_step: int | None
    documents_per_step: int | None
    updates_per_batch: int
    tokens_per_pass: int
    objective: Named[Objective]
    schedule: Named[Schedule]
    optimizer: Named[Optimizer]
    sampler: Named[Sampler] | None
    verifier: Named[Verifier] | None
    """Used for data sets that do not configure their own."""
    rewards: tuple[Named[Reward], ...] = ()
    filters: tuple[Named[Filter], ...] = ()
    probes: tuple[Named[Probe], ...] = ()
    carry_optimizer: bool = True
    """Whether the *next* phase inherits the optimizer's moments; decided by the compiler from the schedule."""
    restart_data: bool = False
    """Whether the *next* phase begins its data anew: its schedule says so, or run.streams = "phase"."""
    carried_lr_steps: int = 0
    """Maximum steps of the following phases that this phase's learning-rate schedule extends over."""


@dataclass(frozen=True)
class Graph:
    run: RunSettings
    model: Named[Model]
    data: Mapping[str, Named[Data]]
    phases: tuple[Phase, ...]
    evaluators: tuple[Named[Evaluator], ...]
    trackers: tuple[Named[Tracker], ...]
    distributed: Distributed
    checkpoint: Checkpointing
    reference: Literal["initial", "off"] | None
    sampler: Named[Sampler] | None
    verifier: Named[Verifier] | None
    """Top-level sampler and verifier: used by evaluators before the first phase has ended."""
    digest: str
    """SHA-256 over the plan's meaning."""
    plan: Mapping[str, Any]
    """The whole plan as JSON: the content of plan.json."""
    spec_text: str
    spec_file: str
    cut: Cut | None = None
    """Where a study ends the run."""


def evaluation_sampler(graph: Graph, after_phase: str | None) -> Named[Sampler]:
    """The sampler of evaluators: that of the phase just ended, else the top-level one, else that of the first phase with one.

    A graph without any sampler has `transformers` as its top-level one.
    """
    found = _first(graph.sampler, {p.id: p.sampler for p in graph.phases}, after_phase)
    assert found is not None, "build_graph sets a sampler on every graph with evaluators"
    return found


def evaluation_verifier(graph: Graph, after_phase: str | None) -> Named[Verifier] | None:
    """The verifier of evaluators, in the same order of preference; None where the spec has none."""
    return _first(graph.verifier, {p.id: p.verifier for p in graph.phases}, after_phase)


def _first(
    top: Named[C_co] | None, of_phase: Mapping[str, Named[C_co] | None], after_phase: str | None
) -> Named[C_co] | None:
    ended = of_phase.get(after_phase) if after_phase is not None else None
    return next((named for named in (ended, top, *of_phase.values()) if named is not None), None)
