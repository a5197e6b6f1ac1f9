"""A run in its folder: opens the graph and runs the loop."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from prerl_spec.compiler.graph import Graph
from prerl_spec.engine.processes.heartbeat import heartbeat
from prerl_spec.engine.processes.ranks import joined_ranks
from prerl_spec.engine.processes.shared_folder import require_shared
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.record.events import EventLog, Listener, Silence
from prerl_spec.engine.record.tracking import Trackers
from prerl_spec.engine.run.run_loop import RunLoop
from prerl_spec.engine.run.session import Session, open_session
from prerl_spec.situations import as_run_failure


def run(graph: Graph, claimed: Path | None, listener: Listener) -> Path:
    """Runs the graph in a run folder and returns the folder. `claimed` is the folder that the main rank has claimed and
    written the plan to, None on the other ranks. Resumes from the last checkpoint, also in a phase extended since.

    Raises Interrupted after a signal, RunFailed, EnvironmentUnmet; the last checkpoint is valid in every case.
    """
    with opened(graph, claimed, listener) as (session, events), ExitStack() as stack:
        trackers = Trackers(graph.trackers if session.ranks.is_main else (), session.folder, graph.run.name)
        stack.callback(trackers.close)
        RunLoop(session, events, trackers).run()
    return session.folder


@contextmanager
def opened(graph: Graph, claimed: Path | None, listener: Listener) -> Iterator[tuple[Session, EventLog]]:
    """Joins the ranks, opens the graph and the event log; only the main rank reports to `listener`."""
    # transformers' progress bars for loading and writing shards would break up the display.
    quiet: Callable[[], None] = disable_progress_bar
    quiet()
    distributed = graph.distributed
    joined = joined_ranks(distributed.processes, invariant=distributed.determinism == "invariant")
    with joined as ranks, Signals() as signals, heartbeat(ranks, signals):
        assert (claimed is not None) == ranks.is_main, "the main rank alone claims the folder"
        folder = ranks.gather([claimed] if claimed is not None else [])[0]
        require_shared(folder, ranks)
        main_only: Listener = listener if ranks.is_main else Silence()
        main_only.begin(graph)
        with open_session(graph, folder, ranks, main_only, signals) as session:
            log = EventLog(folder / "events.jsonl", main_only, writes=ranks.is_main)
            with as_run_failure():
                yield session, log
