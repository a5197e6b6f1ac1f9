"""Many samples at once from several servers: a thread a request, one deadline each, all left at once when one fails."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from prerl_components.samplers.server.client import Answer, ServerCalls
from prerl_spec.sdk import Decoding

IN_FLIGHT = 256
"""Requests to one server at a time: as many sequences as vLLM computes together by default, so that none waits in line
while its deadline runs."""

TICK_SECONDS = 0.5
"""How long a signal may wait to be seen."""


class Asked(NamedTuple):
    """One sample to draw, and where."""

    server: ServerCalls
    body: Mapping[str, Any]


def seconds_allowed(decoding: Decoding) -> float:
    """The deadline of a sample: two minutes, and a quarter of a second a token."""
    return 120.0 + 0.25 * decoding.max_new_tokens


def draw_all(asked: Sequence[Asked], seconds: float, progress: Callable[[int], None]) -> list[Answer]:
    """The answers in order. `progress(done)` is called at every answer and twice a second between them, in the caller's
    thread; what it raises ends the drawing, and so does the first ServerFault."""
    servers = {id(one.server): one.server for one in asked}
    pools = {key: ThreadPoolExecutor(IN_FLIGHT) for key in servers}
    place: dict[Future[Answer], int] = {}
    ended: SimpleQueue[Future[Answer]] = SimpleQueue()
    answers: dict[int, Answer] = {}
    try:
        for number, one in enumerate(asked):
            future = pools[id(one.server)].submit(one.server.complete, one.body, seconds=seconds)
            place[future] = number
            future.add_done_callback(ended.put)
        while len(answers) < len(asked):
            with suppress(Empty):
                future = ended.get(timeout=TICK_SECONDS)
                answers[place[future]] = future.result()
            progress(len(answers))
    except BaseException:
        # The pools wait for their threads, and those for answers that nobody wants any more.
        for server in servers.values():
            server.connection.cut()
        raise
    finally:
        for pool in pools.values():
            pool.shutdown(cancel_futures=True)
        for server in servers.values():
            server.connection.restore()
    return [answers[number] for number in range(len(asked))]
