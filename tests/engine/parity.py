"""Runs that are judged by the parity of their characters."""

from dataclasses import replace
from pathlib import Path

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.graph import Named
from prerl_spec.compiler.past_runs.run_folder import choose_run_folder, hold_run_folder
from prerl_spec.engine.record.run_inputs import write_given
from prerl_spec.engine.run.run import run
from prerl_spec.sdk import Component
from tests.engine.parity_parts import Parity
from tests.engine.runs import SPEC, Heard

HEAD = (
    SPEC[: SPEC.index("[[phases]]")]
    .replace("seed = 3", "seed = 4")
    .replace('train = { use = "arithmetic_chains", steps', 'train = { use = "arithmetic_chains", part = "easy", steps')
    .replace("max_new_tokens = 12", 'max_new_tokens = 16\nstop = ["0", "1", "2", "3", "4"]')
)
"""Digits end a response: most are finished, and judged. Of `easy` 512 rows are checked at each start, not 8,192."""


def start(
    folder: Path,
    phases: str,
    listener: Heard | None = None,
    verifier: Parity | None = None,
    *,
    corpus_steps: tuple[int, int] = (1, 1),
    filters: tuple[Component, ...] = (),
    checkpoint_every: int | None = None,
) -> Path:
    """Runs these phases in the folder, or goes on with them, every one that samples behind these filters; returns the run
    folder."""
    folder.mkdir(exist_ok=True)
    file = folder / "spec.toml"
    corpus = 'part = "corpus", steps = {}'
    assert corpus.format([1, 1]) in HEAD
    file.write_text(HEAD.replace(corpus.format([1, 1]), corpus.format(list(corpus_steps))) + phases)
    graph = compile_spec(file).graph
    if checkpoint_every is not None:
        graph = replace(graph, checkpoint=replace(graph.checkpoint, every=checkpoint_every))
    judge = Named("parity", verifier or Parity())
    named = tuple(Named(type(f).__name__, f) for f in filters)
    graph = replace(
        graph,
        verifier=judge,
        phases=tuple(
            replace(p, verifier=judge, filters=(*p.filters, *named)) if p.sampler else p for p in graph.phases
        ),
    )

    taken, _ = choose_run_folder(folder / "runs", graph.run.name, graph.digest)
    with hold_run_folder(taken):
        write_given(taken, graph)
        return run(graph, taken, listener or Heard())
