"""A run in its folder: opens what the graph names, and goes its course."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from prerl_spec.compiler.graph import Graph
from prerl_spec.engine.processes.ranks import joined_ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.record.events import EventLog, Listener, Silence
from prerl_spec.engine.record.tracking import Trackers
from prerl_spec.engine.run.run_loop import RunLoop
from prerl_spec.engine.run.session import Session, open_session


def run(graph: Graph, taken: Path | None, listener: Listener) -> Path:
    """Runs the graph in the folder that the main rank has taken and written the plan to (None on the others); gives the
    folder. Goes on where an earlier process stopped, and in a phase that has got more steps since.

    Raises Interrupted after a signal, RunFailed, EnvironmentUnmet; whatever is raised, the last commit stands.
    """
    with opened(graph, taken, listener) as (session, events), ExitStack() as stack:
        trackers = Trackers(graph.trackers if session.ranks.is_main else (), session.folder, graph.run.name)
        stack.callback(trackers.close)
        RunLoop(session, events, trackers).go()
    return session.folder


@contextmanager
def opened(graph: Graph, taken: Path | None, listener: Listener) -> Iterator[tuple[Session, EventLog]]:
    """The ranks joined, the graph opened in the folder, and its log of events; the main rank alone is listened to."""
    # Its bars for loading and writing shards would break up the display.
    quiet: Callable[[], None] = disable_progress_bar
    quiet()
    distributed = graph.distributed
    joined = joined_ranks(distributed.processes, invariant=distributed.determinism == "invariant")
    with joined as ranks, Signals() as signals:
        assert (taken is not None) == ranks.is_main, "the main rank takes the folder, and no other"
        folder = ranks.gather([taken] if taken is not None else [])[0]
        heard: Listener = listener if ranks.is_main else Silence()
        heard.begin(graph)
        with open_session(graph, folder, ranks, heard, signals) as session:
            yield session, EventLog(folder / "events.jsonl", heard, writes=ranks.is_main)
