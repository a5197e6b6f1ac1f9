"""How `determinism = "invariant"` splits an update into eight lanes, for any number of processes, and what it costs."""

from collections.abc import Iterator

LANES = 8
"""Maximum number of processes that can share an update."""


def workers(processes: int) -> int:
    """Number of processes that work on lanes: the largest power of two up to `processes`, at most 8."""
    return 1 << (min(processes, LANES).bit_length() - 1)


def lane_notes(processes: int) -> Iterator[str]:
    """Notes of a plan with `determinism = "invariant"`."""
    yield (
        'determinism = "invariant": the same result, bit for bit, on any number of processes of one kind of machine with '
        "one OMP_NUM_THREADS (1 where it is not set)"
    )
    busy = workers(processes)
    gradients = (LANES // busy).bit_length() - 1
    more = f"{gradients} gradient{'s' if gradients > 1 else ''} more in memory" if gradients else "no memory"
    yield (
        f"it costs time and {more}: samples are drawn in batches of a fixed shape, to the end of the longest, and an "
        f"update has at least {LANES // busy} pass{'es' if busy < LANES else ''} per process"
    )
    if busy < processes:
        yield f"{busy} of {processes} processes share an update; the others sample and score only"
