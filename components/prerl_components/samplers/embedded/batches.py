"""Groups samples into decoding batches: shortest prompts first, as many as memory and speed allow; or, if a sample must
not depend on the others in its batch, tiles of fixed shapes."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from prerl_components.samplers.embedded.kv_loop import Batch
from prerl_spec.sdk import Request

MAX_ROWS = 1024
"""Maximum rows of a batch."""
TILE_ROWS = 64
"""Maximum rows of a tile: more are faster with enough samples, and wasted on padding with fewer."""
TILE_COLUMNS = 16
"""Tile widths are multiples of this."""


@dataclass(frozen=True)
class Budget:
    """Limits of one batch: rows, tokens in the cache (rows x length), tokens of a prefill (prompts x longest prompt)."""

    rows: int
    cache_tokens: int
    prefill_tokens: int

    @classmethod
    def of(cls, device: torch.device, *, bytes_per_token: int, vocabulary: int, hidden: int) -> "Budget":
        """Shares of the device's memory: 1/8 cache, 1/32 float32 logits [rows, vocabulary], 1/32 prefill.

        A token of a prefill holds about 32 x hidden float32 numbers at once (the feed-forward layer's four arrays).
        """
        memory = _memory_bytes(device)
        return cls(
            rows=max(1, min(MAX_ROWS, memory // 32 // (4 * vocabulary))),
            cache_tokens=memory // 8 // max(1, bytes_per_token),
            prefill_tokens=memory // 32 // (4 * 32 * hidden),
        )


def _memory_bytes(device: torch.device) -> int:
    """Total memory of a GPU; at most 32 GiB of the host's, since other ranks share it."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return min(32 << 30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def plan_batches(
    requests: Sequence[Request], max_new_tokens: int, budget: Budget
) -> Iterator[tuple[Batch, list[tuple[int, int]]]]:
    """Yields batches and, for each of their samples, (index of the request, index of the seed in it).

    Equal contexts are adjacent and prefilled once. Every batch has at least one row, for any budget.
    """
    order = sorted(range(len(requests)), key=lambda i: (len(requests[i].context), requests[i].context))
    waiting = [(i, k) for i in order for k in range(len(requests[i].seeds))]
    while waiting:
        contexts: list[tuple[int, ...]] = []
        prompt_S: list[int] = []
        for i, _ in waiting:
            context = requests[i].context
            num_prompts = len(contexts) + (not contexts or contexts[-1] != context)
            fits = (
                len(prompt_S) < budget.rows
                and (len(prompt_S) + 1) * (len(context) + max_new_tokens) <= budget.cache_tokens
                and num_prompts * len(context) <= budget.prefill_tokens
            )
            if prompt_S and not fits:
                break
            if num_prompts > len(contexts):
                contexts.append(context)
            prompt_S.append(num_prompts - 1)
        places, waiting = waiting[: len(prompt_S)], waiting[len(prompt_S) :]
        seed_S = tuple(requests[i].seeds[k] for i, k in places)
        yield Batch(tuple(contexts), tuple(prompt_S), seed_S), places


def plan_tiles(
    requests: Sequence[Request], max_new_tokens: int, budget: Budget
) -> Iterator[tuple[Batch, list[tuple[int, int]]]]:
    """The same in tiles whose shape is a function of the prompt length: prompts padded to 16, 32, 48 … tokens, with a number
    of rows that depends on the budget only; unused rows are filled with copies of the tile's first sample.

    A sample's kernels and the order of its sums are then independent of the other samples.
    """
    by_width: dict[int, list[tuple[int, int]]] = {}
    for i, request in enumerate(requests):
        width = -(-len(request.context) // TILE_COLUMNS) * TILE_COLUMNS
        by_width.setdefault(width, []).extend((i, k) for k in range(len(request.seeds)))
    for width, waiting in sorted(by_width.items()):
        num_rows = tile_rows(width, max_new_tokens, budget)
        for start in range(0, len(waiting), num_rows):
            places = waiting[start : start + num_rows]
            fillers = num_rows - len(places)
            rows = [*places, *[places[0]] * fillers]
            contexts = tuple(requests[i].context for i, _ in rows)
            seed_S = tuple(requests[i].seeds[k] for i, k in rows)
            yield Batch(contexts, tuple(range(num_rows)), seed_S, width, fillers), places


def tile_rows(width: int, max_new_tokens: int, budget: Budget) -> int:
    """Number of rows of a tile with prompts of this width."""
    return max(
        1,
        min(TILE_ROWS, budget.rows, budget.cache_tokens // (width + max_new_tokens), budget.prefill_tokens // width),
    )


def plan_alone(
    requests: Sequence[Request], max_new_tokens: int, budget: Budget
) -> Iterator[tuple[Batch, list[tuple[int, int]]]]:
    """The same with separate batches per request, for models whose rows depend on their position in a tile."""
    for i, request in enumerate(requests):
        for batch, places in plan_batches([request], max_new_tokens, budget):
            yield replace(batch, width=len(request.context)), [(i, k) for _, k in places]
