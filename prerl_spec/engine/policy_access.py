"""The policy as samplers with weights of their own see it: whole tensors one at a time, and the trainer's log-probabilities."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from prerl_spec.engine.packing import build_rows
from prerl_spec.engine.policy import Policy
from prerl_spec.engine.ranks import Ranks
from prerl_spec.engine.weights import whole_tensors
from prerl_spec.types import Attempt, Segment


class LivePolicy:
    """`registry.kinds.PolicyAccess` over the policy that is being trained."""

    def __init__(self, policy: Policy, ranks: Ranks) -> None:
        self._policy = policy
        self._ranks = ranks
        self.rank = ranks.rank
        self.size = ranks.size
        self.has_adapter = False

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        return whole_tensors(self._policy.module)

    def save_adapter(self, folder: Path) -> None:
        raise AssertionError("the policy has no adapter")

    @torch.no_grad()
    def logprobs(self, context: Sequence[int], tokens: Sequence[int]) -> list[float]:
        attempt = Attempt((Segment(tuple(tokens)),), "", "document")
        rows = build_rows([attempt], [tuple(context)], [0], row_tokens=len(context) + len(tokens))
        logp_n, _ = self._policy.row_logprobs(rows)
        return [float(p) for p in logp_n.tolist()]

    def barrier(self) -> None:
        self._ranks.barrier()
