"""Parallel sampling from several servers: one thread and one deadline per request; the first failure aborts all."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from prerl_components.samplers.server.client import ServerCalls, ServerSample
from prerl_spec.sdk import Decoding

IN_FLIGHT = 256
"""Concurrent requests per server: vLLM's default number of concurrent sequences, so that none waits in the server's queue
while its deadline runs."""

TICK_SECONDS = 0.5
"""Maximum delay until a signal is handled."""


class SampleRequest(NamedTuple):
    """One sample to draw: the server and the request body."""

    server: ServerCalls
    body: Mapping[str, Any]


def seconds_allowed(decoding: Decoding) -> float:
    """The deadline of a sample in seconds: two minutes plus a quarter of a second per token."""
    return 120.0 + 0.25 * decoding.max_new_tokens


def draw_all(
    requested: Sequence[SampleRequest],
    seconds: float,
    progress: Callable[[int], None],
    ended: Callable[[int, ServerSample], None],
) -> list[ServerSample]:
    """The samples in order. In the caller's thread `ended(number, sample)` is called for every sample, `progress(done)` after
    it and at least twice a second; an exception from them, or the first ServerFault, aborts all requests and is raised."""
    servers = {id(one.server): one.server for one in requested}
    pools = {key: ThreadPoolExecutor(IN_FLIGHT) for key in servers}
    index: dict[Future[ServerSample], int] = {}
    arrived: SimpleQueue[Future[ServerSample]] = SimpleQueue()
    samples: dict[int, ServerSample] = {}
    try:
        for number, one in enumerate(requested):
            future = pools[id(one.server)].submit(one.server.complete, one.body, seconds=seconds)
            index[future] = number
            future.add_done_callback(arrived.put)
        while len(samples) < len(requested):
            with suppress(Empty):
                future = arrived.get(timeout=TICK_SECONDS)
                number = index[future]
                samples[number] = future.result()
                ended(number, samples[number])
            progress(len(samples))
    except BaseException:
        # Otherwise the pools would wait for responses that are no longer needed.
        for server in servers.values():
            server.connection.abort()
        raise
    finally:
        for pool in pools.values():
            pool.shutdown(cancel_futures=True)
        for server in servers.values():
            server.connection.restore()
    return [samples[number] for number in range(len(requested))]
