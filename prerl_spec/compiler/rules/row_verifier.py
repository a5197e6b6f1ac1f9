"""The data sets that a run reads, and the verifier that scores the rows of each."""

from prerl_spec.compiler.graph import Graph
from prerl_spec.registry.kinds.judging import Verifier


def data_in_use(graph: Graph) -> tuple[str, ...]:
    """Every data set that a phase trains on or an evaluator scores, in the order of first use."""
    drawn = [name for phase in graph.phases for name in phase.data]
    scored = [name for named in graph.evaluators for name in named.component.data_sets()]
    return tuple(dict.fromkeys([*drawn, *scored]))


def row_verifier(graph: Graph, name: str) -> Verifier | None:
    """The verifier of a data set's rows; None if no verifier scores them.

    If no phase trains on the data set: that of the evaluator which scores it, if it has one. Else the data set's own,
    that of the phases that train on it, or the top-level one.
    """
    drawing = [phase for phase in graph.phases if name in phase.data]
    scoring = [named.component for named in graph.evaluators if name in named.component.data_sets()]
    judging = [own for evaluator in scoring if (own := evaluator.own_verifier) is not None]
    if judging and not drawing:
        return judging[0]
    own = graph.data[name].component.verifier
    if own is not None:
        return own
    served = next((phase.verifier for phase in drawing if phase.verifier is not None), graph.verifier)
    return None if served is None else served.component
