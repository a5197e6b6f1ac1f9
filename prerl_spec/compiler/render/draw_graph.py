"""The graph of a spec as nodes and edges, as Mermaid and as JSON."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from prerl_spec.compiler.planning.phase_plan import carries_optimizer
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.phase_roles import PhaseRoles, phase_roles
from prerl_spec.compiler.rules.port_rules import fits
from prerl_spec.compiler.rules.served import Served, nested
from prerl_spec.language.document import join_path


@dataclass(frozen=True)
class Node:
    """A component of the graph: `Node("prune_sampler", "sampler", "vllm", "prune")`; `phase` is None outside phases."""

    id: str
    kind: str
    name: str
    phase: str | None = None


@dataclass(frozen=True)
class Edge:
    """A flow from one node to another: a batch, a port or weights."""

    source: str
    target: str
    carries: str


@dataclass(frozen=True)
class Drawing:
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def as_json(self) -> dict[str, Any]:
        return {"nodes": [asdict(n) for n in self.nodes], "edges": [asdict(e) for e in self.edges]}

    def as_mermaid(self) -> str:
        """A flowchart with one box per phase and one arrow per flow."""
        lines = ["flowchart LR"]
        lines += [f"  {_box(n)}" for n in self.nodes if n.phase is None]
        for phase in dict.fromkeys(n.phase for n in self.nodes if n.phase is not None):
            lines += [
                f'  subgraph phase_{phase}["{phase}"]',
                *(f"    {_box(n)}" for n in self.nodes if n.phase == phase),
                "  end",
            ]
        lines += [f'  {e.source} -->|"{e.carries}"| {e.target}' for e in self.edges]
        return "\n".join(lines) + "\n"


def draw(resolved: Resolved) -> Drawing:
    """The graph of a spec without errors. Raises EnvironmentUnmet for a component that lacks a member of its kind."""
    resolved.require_members()
    nodes = [Node("model", "model", resolved.built["model"].use)]
    nodes += [
        Node(_data_id(name), "data", f"{name}: {_use(resolved, join_path('data', name))}")
        for name in resolved.spec.data
    ]
    edges: list[Edge] = []
    phases = phase_roles(resolved)
    for roles in phases:
        inside, between = _phase(roles)
        nodes += inside
        edges += between
    edges += _hand_overs(phases)
    last = f"{phases[-1].spec.id}_optimizer" if phases else "model"
    for number in range(len(resolved.spec.evaluate)):
        nodes.append(Node(f"evaluate_{number}", "evaluator", _use(resolved, f"evaluate[{number}]")))
        edges.append(Edge(last, f"evaluate_{number}", "weights"))
    return Drawing(tuple(nodes), tuple(edges))


def _phase(roles: PhaseRoles) -> tuple[list[Node], list[Edge]]:
    """The nodes that a batch passes in order, and the flow from each to the next."""
    phase = roles.spec.id
    stations: list[tuple[str, Served[object], str]] = []
    if roles.uses_rollouts:
        assert roles.sampler is not None, "`wire` reports a phase with rollouts and no sampler"
        stations.append(("sampler", roles.sampler, "attempts"))
        if roles.verifier is not None:
            stations.append(("verifier", roles.verifier, _reward_port(roles.verifier)))
        stations += [(f"reward_{n}", r, "reward[scalar]") for n, r in enumerate(roles.rewards)]
        stations += [(f"filter_{n}", f, "groups") for n, f in enumerate(roles.filters)]
    assert roles.optimizer is not None, "`wire` reports a phase without an optimizer"
    stations += [("objective", roles.objective, "gradient"), ("optimizer", roles.optimizer, "")]
    nodes = [Node(f"{phase}_{role}", role.partition("_")[0], _name(served), phase) for role, served, _ in stations]
    first = "prompts" if roles.uses_rollouts else "documents"
    edges = [Edge(_data_id(name), nodes[0].id, first) for name in roles.data]
    passed = [carries for _, _, carries in stations]
    edges += [
        Edge(one.id, other.id, carries) for one, other, carries in zip(nodes[:-1], nodes[1:], passed[:-1], strict=True)
    ]
    teachers = [built for _, built in nested(roles.objective) if built.kind == "model"]
    drawn = [Node(f"{phase}_teacher_{n}", "teacher", built.use, phase) for n, built in enumerate(teachers)]
    edges += [Edge(teacher.id, f"{phase}_objective", "log-probabilities") for teacher in drawn]
    return [*nodes, *drawn], edges


def _hand_overs(phases: tuple[PhaseRoles, ...]) -> list[Edge]:
    edges = [Edge("model", f"{phases[0].spec.id}_optimizer", "weights")] if phases else []
    for roles, following in zip(phases[:-1], phases[1:], strict=True):
        moments = " and moments" if carries_optimizer(roles, following) else ""
        edges.append(Edge(f"{roles.spec.id}_optimizer", f"{following.spec.id}_optimizer", f"weights{moments}"))
    return edges


def _reward_port(verifier: Served[object]) -> str:
    assert verifier.built is not None, "only a spec without errors is drawn"
    provided = [p for p in verifier.built.component.provides() if fits(p, "reward")]
    return provided[0] if provided else "verdicts"


def _data_id(name: str) -> str:
    """A Mermaid id for a data set: TOML allows any name, Mermaid only word characters."""
    return "data_" + re.sub(r"\W", "_", name)


def _use(resolved: Resolved, path: str) -> str:
    return resolved.built[path].use


def _name(served: Served[object]) -> str:
    assert served.built is not None, "only a spec without errors is drawn"
    return served.built.use


def _box(node: Node) -> str:
    return f'{node.id}["{node.kind}<br/>{node.name}"]'
