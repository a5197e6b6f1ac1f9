"""What evaluators get of a live policy: sampling, log-probabilities and verdicts, shared out over the ranks.

Nothing here changes the policy: it is in evaluation mode throughout a run, no gradient is taken, and every sample has a
random stream of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from prerl_spec.engine.logprobs import TILE_ELEMENTS, Head
from prerl_spec.engine.policy import Policy
from prerl_spec.engine.ranks import Ranks
from prerl_spec.registry.kinds import DataSet, EvaluationSite, OpenSampler, Verifier
from prerl_spec.types import Decoding, Generation, Rendering, Request, Verdict

TOKENS_PER_FORWARD = 8192
"""Tokens of a batch that is only scored, padding included."""

Pair = tuple[tuple[int, ...], tuple[int, ...]]
Judge = Callable[[Verifier, Sequence[tuple[str, str, bool]]], list[Verdict]]


class Standing(Protocol):
    """Where a run stands: what scores have to state of it."""

    @property
    def global_step(self) -> int: ...
    @property
    def generated_tokens(self) -> int: ...
    @property
    def trained_tokens(self) -> int: ...


def build_site(
    policy: Policy,
    sampler: OpenSampler,
    *,
    ranks: Ranks,
    phase: str,
    position: Standing,
    seed: int,
    decoding: Decoding,
    rendering: Rendering,
    verifier: Verifier | None,
    data: Mapping[str, DataSet],
    data_verifier: Mapping[str, Verifier | None],
    folder: Path,
    weights_hash: str,
    judge: Judge,
    tick: Callable[[str, int, int], None],
) -> EvaluationSite:
    """The site of one evaluation. `judge` gives verdicts through worker processes, `tick(stage, done, total)` shows
    progress under "evaluate:TASK"."""
    calls = SharedCalls(policy, sampler, ranks, judge, tick)
    return EvaluationSite(
        phase=phase,
        global_step=position.global_step,
        generated_tokens=position.generated_tokens,
        trained_tokens=position.trained_tokens,
        seed=seed,
        codec=policy.codec,
        tokenizer=policy.loaded.tokenizer,
        max_length=policy.max_length,
        weights_hash=weights_hash,
        decoding=decoding,
        rendering=rendering,
        verifier=verifier,
        data=data,
        data_verifier=data_verifier,
        folder=folder,
        generate=calls.generate,
        continuation_logps=calls.continuation_logps,
        verify=calls.verify,
        progress=calls.progress,
    )


class SharedCalls:
    """Each rank asks for everything, does its share, and gets everything."""

    def __init__(
        self,
        policy: Policy,
        sampler: OpenSampler,
        ranks: Ranks,
        judge: Judge,
        tick: Callable[[str, int, int], None],
    ) -> None:
        self._policy = policy
        self._sampler = sampler
        self._ranks = ranks
        self._judge = judge
        self._tick = tick
        self._stage = "evaluate"

    def progress(self, what: str, done: int, total: int) -> None:
        self._stage = f"evaluate:{what}"
        self._tick(self._stage, done, total)

    def generate(self, requests: Sequence[Request], decoding: Decoding) -> list[list[Generation]]:
        mine = [requests[i] for i in self._ranks.mine(len(requests))]
        # Where weights are sharded, to draw is a collective call: also with nothing of its own to draw.
        takes_part = bool(mine) or self._policy.is_sharded
        drawn = self._sampler.generate(mine, decoding, self._sampled) if takes_part else []
        return self._ranks.gather_dealt(drawn, len(requests))

    def continuation_logps(self, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
        if self._ranks.invariant:
            return self._logps_in_batches(pairs)
        mine = [pairs[i] for i in self._ranks.mine(len(pairs))]
        with self._policy.whole_weights():
            scored = continuation_logps(self._policy, mine)
        return self._ranks.gather_dealt(scored, len(pairs))

    def _logps_in_batches(self, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
        """Whole batches are dealt out instead of pairs: which pairs share a forward is the same on any number of ranks."""
        batches = plan_batches(pairs, one_by_one=not self._policy.plain_head)
        mine = [batches[i] for i in self._ranks.mine(len(batches))]
        scored = [continuation_logps(self._policy, [pairs[i] for i in batch]) for batch in mine]
        found = {i: s for batch, one in zip(mine, scored, strict=True) for i, s in zip(batch, one, strict=True)}
        by_pair = dict(self._ranks.gather(list(found.items())))
        return [by_pair[i] for i in range(len(pairs))]

    def verify(self, verifier: Verifier, evidence: Sequence[tuple[str, str, bool]]) -> list[Verdict]:
        mine = [evidence[i] for i in self._ranks.mine(len(evidence))]
        return self._ranks.gather_dealt(self._judge(verifier, mine), len(evidence))

    def _sampled(self, done: int, total: int) -> None:
        self._tick(self._stage, done, total)


@torch.no_grad()
def continuation_logps(policy: Policy, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
    """For each (context, continuation): Σ log softmax(logits)[token] over the continuation, in nats, float32 at temperature
    1, and whether every token of it is the most likely one. An empty continuation has (0.0, True)."""
    found: dict[int, tuple[float, bool]] = {}
    for batch in plan_batches(pairs, one_by_one=not policy.plain_head):
        found.update(zip(batch, _score_batch(policy, [pairs[i] for i in batch]), strict=True))
    return [found[i] for i in range(len(pairs))]


def plan_batches(pairs: Sequence[Pair], *, one_by_one: bool) -> list[list[int]]:
    """Numbers of pairs that are scored together, the longest first; those without a continuation last, in a batch of their
    own."""
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
    """Rows padded on the right: with causal attention no earlier token sees the padding."""
    if not any(continuation for _, continuation in pairs):
        return [(0.0, True)] * len(pairs)
    width = max(map(_length, pairs)) - 1
    ids_BT = torch.zeros(len(pairs), width, dtype=torch.long)
    row: list[int] = []
    place: list[int] = []
    target: list[int] = []
    for number, (context, continuation) in enumerate(pairs):
        tokens = (*context, *continuation)
        ids_BT[number, : len(tokens) - 1] = torch.tensor(tokens[:-1])
        row += [number] * len(continuation)
        place += range(len(context) - 1, len(tokens) - 1)
        target += continuation
    device = policy.device
    row_n, place_n, target_n = (torch.tensor(values, device=device) for values in (row, place, target))
    module: Any = policy.module
    inputs = {"input_ids": ids_BT.to(device), "attention_mask": None, "use_cache": False}
    with policy.autocast():
        if policy.plain_head:
            hidden_nd = module.base_model(**inputs).last_hidden_state[row_n, place_n]
            head: Head = module.get_output_embeddings()
        else:
            hidden_nd, head = module(**inputs, logits_to_keep=place_n).logits[0], torch.nn.Identity()
        logp_n, is_top_n = _chosen(hidden_nd, target_n, head, policy.vocab_size)
    sums = torch.zeros(len(pairs), device=device).index_add(0, row_n, logp_n)
    misses = torch.zeros(len(pairs), device=device).index_add(0, row_n, (~is_top_n).float())
    return [(float(s), not m) for s, m in zip(sums.tolist(), misses.tolist(), strict=True)]


def _chosen(hidden_nd: Tensor, target_n: Tensor, head: Head, vocab_size: int) -> tuple[Tensor, Tensor]:
    """Log-probabilities [n] of the targets and whether each is the argmax; logits only a tile at a time."""
    tile = max(1, TILE_ELEMENTS // vocab_size)
    logps, tops = [], []
    for start in range(0, target_n.shape[0], tile):
        logits, target = head(hidden_nd[start : start + tile]).float(), target_n[start : start + tile]
        logps.append(logits.gather(-1, target[:, None]).squeeze(-1) - logits.logsumexp(-1))
        tops.append(logits.argmax(-1) == target)
    return torch.cat(logps), torch.cat(tops)


def _length(pair: Pair) -> int:
    return len(pair[0]) + len(pair[1])
