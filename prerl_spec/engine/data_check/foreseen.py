"""What a run would refuse of its rows before its first step: those that do not fit, and gold answers that cannot be verified.

Loads no weights. A data set that cannot be read here (on the hub, a file that is not there) is a need of its own.
"""

from collections.abc import Callable, Iterator

from prerl_spec.compiler.estimates.local_files import model_codec, model_config
from prerl_spec.compiler.estimates.unknown import NotKnown
from prerl_spec.compiler.graph import Graph, evaluation_sampler
from prerl_spec.compiler.plan import Plan, PrerequisitePlan
from prerl_spec.compiler.planning.fits import context_length
from prerl_spec.compiler.rules.row_verifier import data_in_use
from prerl_spec.engine.batches.datasets import OpenDataSet, check_sizes, open_dataset
from prerl_spec.engine.verification.verifier_pool import GoldCheck
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.language.document import join_path
from prerl_spec.prompts import render_all
from prerl_spec.registry.kinds.evaluator import Evaluator
from prerl_spec.registry.kinds.model import Model
from prerl_spec.registry.nested_components import teachers_in

UNLIMITED = 1 << 30
"""Tokens of the context of a model whose configuration does not say."""


def row_needs(
    graph: Graph,
    plan: Plan,
    check_golds: GoldCheck | None,
    *,
    most: int | None,
    tick: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Iterator[PrerequisitePlan]:
    """An unmet need for each data set in use with rows that a run would refuse, of the first `most` rows; None: of all.

    Without `check_golds` no gold answer is looked at. Nothing where the tokenizer is not on this machine. Raises SpecInvalid
    for a template that fails.
    """
    tokenizers = {name: named.component.tokenizer_files() for name, named in graph.data.items()}
    try:
        codec = model_codec(graph.model.component.settings(), tokenizers)
    except NotKnown:
        return
    opened: dict[str, OpenDataSet] = {}
    for name in data_in_use(graph):
        if plan.data[name].rows is None:
            continue
        try:
            opened[name] = open_dataset(graph, name, codec, _context(graph), check_golds, tick, most)
        except EnvironmentUnmet as error:
            yield _need(name, error)
    for phase in graph.phases if most is None else ():
        known = {name: share for name, share in phase.data.items() if name in opened}
        try:
            check_sizes(opened, phase.id, known, phase.prompts_per_step or phase.documents_per_step or 1)
        except EnvironmentUnmet as error:
            yield _need(next(iter(known)), error)
    for named in graph.evaluators:
        for name in named.component.data_sets():
            if name in opened and (words := _misfit(graph, named.component, opened[name], most)) is not None:
                yield _need(
                    name,
                    EnvironmentUnmet(words, hint="lower the evaluator's max_new_tokens; questions are never truncated"),
                )


def _misfit(graph: Graph, evaluator: Evaluator, held_out: OpenDataSet, most: int | None) -> str | None:
    """Why the evaluator cannot score a row of the data set: no question with a gold answer, or no room for a response."""
    length, context = evaluator.max_new_tokens, _context(graph)
    if length is None:
        length = evaluation_sampler(graph, "base").component.max_new_tokens
    limits = [limit for limit in (evaluator.limit, most) if isinstance(limit, int)]
    number = min([len(held_out.data), *limits])
    rows = [(index, held_out.data.row(index)) for index in range(number)]
    prompts = render_all(rows, held_out.name, held_out.data.rendering, held_out.codec)
    for (_, row), prompt in zip(rows, prompts, strict=True):
        if prompt.question is None or prompt.gold is None:
            return f"{row.where} has no question with a gold answer"
        if len(prompt.context) + length > context:
            return (
                f"{row.where}: {len(prompt.context)} tokens and max_new_tokens {length} exceed the model's context length "
                f"{context}"
            )
    return None


def _context(graph: Graph) -> int:
    """That of the model, or of a teacher where it is shorter: it scores the same tokens."""
    teachers = (teacher for phase in graph.phases for teacher in teachers_in(phase.objective.component).values())
    return min(_context_of(model) for model in (graph.model.component, *teachers))


def _context_of(model: Model) -> int:
    try:
        return context_length(model_config(model.settings(), None)) or UNLIMITED
    except NotKnown:
        return UNLIMITED


def _need(name: str, error: EnvironmentUnmet) -> PrerequisitePlan:
    path = join_path("data", name)
    return PrerequisitePlan("rows", f"of {path}", None, (path,), False, error.message, error.hint or "fix these rows")
