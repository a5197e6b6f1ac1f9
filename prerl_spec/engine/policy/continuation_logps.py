"""Log-probabilities of whole continuations, for evaluators: lm-eval's `loglikelihood`.

No gradient, temperature 1, one text per row.
"""

from collections.abc import Sequence

import torch

from prerl_spec.engine.policy.logprobs import Chosen
from prerl_spec.engine.policy.policy import Policy

TOKENS_PER_FORWARD = 8192
"""Most tokens of a forward, padding included."""

Pair = tuple[tuple[int, ...], tuple[int, ...]]
"""Context and continuation, as token ids."""


@torch.no_grad()
def continuation_logps(policy: Policy, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
    """For each (context, continuation): Σ log softmax(logits)[token] over the continuation, in nats, summed in float64
    at temperature 1, and whether greedy decoding would yield it. An empty continuation yields (0.0, True)."""
    found: dict[int, tuple[float, bool]] = {}
    for batch in plan_batches(pairs, one_by_one=policy.is_one_by_one):
        found.update(zip(batch, _score_batch(policy, [pairs[i] for i in batch]), strict=True))
    return [found[i] for i in range(len(pairs))]


def plan_batches(pairs: Sequence[Pair], *, one_by_one: bool) -> list[list[int]]:
    """Indices of the pairs that share a forward, the longest first; those without a continuation come last."""
    longest_first = sorted((i for i, (_, end) in enumerate(pairs) if end), key=lambda i: -_length(pairs[i]))
    batches: list[list[int]] = []
    while longest_first:
        width = _length(pairs[longest_first[0]]) - 1
        size = 1 if one_by_one else max(1, TOKENS_PER_FORWARD // max(1, width))
        batches.append(longest_first[:size])
        longest_first = longest_first[size:]
    empty = [i for i, (_, end) in enumerate(pairs) if not end]
    return [*batches, empty] if empty else batches


def _score_batch(policy: Policy, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
    """Scores rows padded on the right: with causal attention no earlier token attends to the padding."""
    if not any(continuation for _, continuation in pairs):
        return [(0.0, True)] * len(pairs)
    width = max(map(_length, pairs)) - 1
    id_BT = torch.zeros(len(pairs), width, dtype=torch.long)
    row: list[int] = []
    at: list[int] = []
    target: list[int] = []
    for number, (context, continuation) in enumerate(pairs):
        tokens = (*context, *continuation)
        id_BT[number, : len(tokens) - 1] = torch.tensor(tokens[:-1])
        row += [number] * len(continuation)
        at += range(number * width + len(context) - 1, number * width + len(tokens) - 1)
        target += continuation
    device = policy.device
    position_BT = torch.arange(width, device=device).expand(len(pairs), width)
    row_n, at_n, target_n = (torch.tensor(values, device=device) for values in (row, at, target))
    with policy.autocast():
        chosen: Chosen = policy.scoring(id_BT.to(device), position_BT, at_n, target_n, is_top=True)
    assert chosen.is_top_n is not None, "is_top was requested"
    # A page of some thousand nats has no 1e-4 left in float32.
    sums = torch.zeros(len(pairs), device=device, dtype=torch.float64).index_add(0, row_n, chosen.logp_n.double())
    misses = torch.zeros(len(pairs), device=device).index_add(0, row_n, (~chosen.is_top_n).float())
    return [(float(s), not m) for s, m in zip(sums.tolist(), misses.tolist(), strict=True)]


def _length(pair: Pair) -> int:
    return len(pair[0]) + len(pair[1])
