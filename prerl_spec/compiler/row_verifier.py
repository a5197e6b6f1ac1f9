"""Which data sets a run reads, and which verifier their gold answers have to suit."""

from prerl_spec.compiler.graph import Graph, Named
from prerl_spec.registry.component import Component


def data_in_use(graph: Graph) -> tuple[str, ...]:
    """Every data set that a phase draws from or an evaluator scores, in the order of their first use."""
    drawn = [name for phase in graph.phases for name in phase.data]
    scored = [name for named in graph.evaluators if (name := scored_data(named)) is not None]
    return tuple(dict.fromkeys([*drawn, *scored]))


def row_verifier(graph: Graph, name: str) -> Component | None:
    """The verifier of a data set's rows, None where nothing judges them.

    Where no phase draws from the data set, that of the evaluator which scores it; else the data set's own, that of the
    phases that draw from it, or the top level's.
    """
    drawing = [phase for phase in graph.phases if name in phase.data]
    scoring = [named for named in graph.evaluators if scored_data(named) == name]
    judging = [own for named in scoring if (own := own_verifier(named)) is not None]
    if judging and not drawing:
        return judging[0]
    own = own_verifier(graph.data[name])
    if own is not None:
        return own
    served = next((phase.verifier for phase in drawing if phase.verifier is not None), graph.verifier)
    component: Component | None = None if served is None else served.component
    return component


def own_verifier(named: Named) -> Component | None:
    """The verifier inside a data set's or an evaluator's declaration, where it has one."""
    found = getattr(named.component, "verifier", None)
    return found if isinstance(found, Component) else None


def scored_data(evaluator: Named) -> str | None:
    """The data set whose rows an evaluator scores, None where it brings its own."""
    name = getattr(evaluator.component, "data", None)
    return name if isinstance(name, str) else None
