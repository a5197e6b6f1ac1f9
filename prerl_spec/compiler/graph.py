"""The built and wired graph: component declarations in their places, ready to be opened by the engine. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Named:
    """A component in the graph: its declaration and the name that the spec uses for it."""

    use: str
    component: Any
    """A Component that also follows its kind's Protocol (see registry/kinds.py)."""


@dataclass(frozen=True)
class RunSettings:
    name: str
    seed: int
    output_dir: Path


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


@dataclass(frozen=True)
class Phase:
    """One phase with what serves it: its own component, else the top-level one."""

    id: str
    data: Mapping[str, float]
    """Data set name -> share, summing to 1."""
    prompts_per_step: int | None
    documents_per_step: int | None
    updates_per_batch: int
    tokens_per_pass: int
    objective: Named
    schedule: Named
    optimizer: Named
    sampler: Named | None
    verifier: Named | None
    """Where the data set has none of its own."""
    rewards: tuple[Named, ...] = ()
    filters: tuple[Named, ...] = ()
    probes: tuple[Named, ...] = ()
    carry_optimizer: bool = True
    """Whether the *next* phase inherits the optimizer's moments: the schedule's word, decided by the compiler."""
    carried_lr_steps: int = 0
    """Steps at most of the phases behind it that its learning rate is carried into."""


@dataclass(frozen=True)
class Graph:
    run: RunSettings
    model: Named
    data: Mapping[str, Named]
    phases: tuple[Phase, ...]
    evaluators: tuple[Named, ...]
    trackers: tuple[Named, ...]
    distributed: Distributed
    checkpoint: Checkpointing
    reference: Literal["initial", "off"] | None
    sampler: Named | None
    verifier: Named | None
    """Top-level ones: what evaluators use where no phase has ended."""
    digest: str
    """SHA-256 over the plan's meaning."""
    plan: Mapping[str, Any]
    """The whole plan as JSON, as it is written to plan.json."""
    spec_text: str
    spec_file: str


def evaluation_sampler(graph: Graph, after_phase: str | None) -> Named:
    """The sampler that evaluators use: of the phase just ended, else the top-level one (`transformers` where the spec has
    no sampler at all), else the first phase's that has one."""
    found = _serving(graph, after_phase, "sampler")
    assert found is not None, "build_graph gives every graph that is scored a sampler"
    return found


def evaluation_verifier(graph: Graph, after_phase: str | None) -> Named | None:
    """The verifier that evaluators use, in the same order; None where the spec has none."""
    return _serving(graph, after_phase, "verifier")


def _serving(graph: Graph, after_phase: str | None, role: Literal["sampler", "verifier"]) -> Named | None:
    ended = [phase for phase in graph.phases if phase.id == after_phase]
    roles = [*(getattr(p, role) for p in ended), getattr(graph, role), *(getattr(p, role) for p in graph.phases)]
    found: list[Named] = [named for named in roles if named is not None]
    return found[0] if found else None
