"""Access to the policy for samplers with their own weights: whole tensors one at a time, trainer log-probabilities."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prerl_spec.engine.policy.packing import lay_rows
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.sharding import on_main
from prerl_spec.engine.policy.weights import adapted_tensors, whole_tensors
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.needs import Layout
from prerl_spec.registry.kinds.sampler import EndedSample, OpenSampler, SamplerSite, StreamingSampler, ToldSampler
from prerl_spec.types import Decoding, Generation, Request, Segment


class LivePolicy:
    """Implements `registry.kinds.PolicyAccess` for the policy in training."""

    def __init__(self, policy: Policy, ranks: Ranks) -> None:
        self._policy = policy
        self._ranks = ranks
        self.rank = ranks.rank
        self.size = ranks.size
        self._adapter = policy.loaded.adapter
        self.has_adapter = self._adapter is not None and not self._adapter.merge

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        if self._adapter is None:
            return whole_tensors(self._policy.module)
        return adapted_tensors(self._adapter, merged=self._adapter.merge)

    def save_adapter(self, folder: Path) -> None:
        assert self._adapter is not None, "the policy has no adapter"
        tensors = on_main(self._adapter.parameters(), self._ranks)
        if self.rank == 0:
            self._adapter.save(folder, tensors)
        self.barrier()

    @torch.no_grad()
    def logprobs(self, context: Sequence[int], tokens: Sequence[int]) -> list[float]:
        layout = Layout(tuple(context), (Segment(tuple(tokens)),))
        logp_n, _ = self._policy.row_logprobs(lay_rows([layout], [0], "alone"))
        return [float(p) for p in logp_n.tolist()]

    def barrier(self) -> None:
        self._ranks.barrier()


class OverWholeWeights:
    """A sampler that runs the trainer's sharded module: all weights are gathered while it samples, since the ranks'
    responses have unequal lengths."""

    def __init__(self, sampler: OpenSampler, policy: Policy) -> None:
        self._sampler = sampler
        self._policy = policy

    @property
    def computes(self) -> str:
        how = f"{self._sampler.computes}; " if isinstance(self._sampler, ToldSampler) else ""
        return f"{how}while it samples each process holds all weights"

    def generate(
        self, requests: Sequence[Request], decoding: Decoding, progress: Callable[[int, int], None] | None = None
    ) -> list[list[Generation]]:
        with self._policy.whole_weights():
            return self._sampler.generate(requests, decoding, progress)

    def stream(
        self,
        requests: Sequence[Request],
        decoding: Decoding,
        ended: Callable[[Sequence[EndedSample]], None],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[Generation]]:
        """Tells nothing if the sampler does not."""
        if not isinstance(self._sampler, StreamingSampler):
            return self.generate(requests, decoding, progress)
        with self._policy.whole_weights():
            return self._sampler.stream(requests, decoding, ended, progress)

    def sync(self, version: int) -> None:
        self._sampler.sync(version)


@contextmanager
def open_over_whole_weights(declared: Any, site: SamplerSite, policy: Policy) -> Iterator[OpenSampler]:
    """Opens a sampler with the weights gathered, since it may run the module when it is opened."""
    with policy.whole_weights():
        opened = declared.open(site)
        sampler = opened.__enter__()
    try:
        yield OverWholeWeights(sampler, policy)
    finally:
        opened.__exit__(None, None, None)
