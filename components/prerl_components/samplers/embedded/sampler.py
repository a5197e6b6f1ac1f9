"""The opened embedded sampler: decodes with the trainer's module in evaluation mode."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic

import torch

from prerl_components.samplers.embedded.batches import (
    TILE_COLUMNS,
    Budget,
    plan_alone,
    plan_batches,
    plan_tiles,
    tile_rows,
)
from prerl_components.samplers.embedded.decoding_module import DecodingModule
from prerl_components.samplers.embedded.kv_loop import Batch, BatchLoop
from prerl_components.samplers.embedded.parity import NUM_NEW
from prerl_components.samplers.embedded.stop_texts import StopTexts
from prerl_components.samplers.shared.context_limit import check_context_fits
from prerl_spec.sdk import Decoding, EndedSample, Generation, OpenSampler, Request, SamplerSite

TICK_SECONDS = 0.5
"""Progress is reported at least this often, also while no sample ends: a run can be interrupted then."""

Plan = Callable[[Sequence[Request], int, Budget], Iterator[tuple[Batch, list[tuple[int, int]]]]]
"""(requests, max_new_tokens, budget) -> batches, each with its samples' (request, seed) indices."""


class EmbeddedSampler:
    """Samples from the module being trained, with its current weights."""

    def __init__(self, site: SamplerSite) -> None:
        self._codec = site.model.codec
        self._device = torch.device(site.device)
        self._max_length = site.max_length
        self._decoding = module = DecodingModule(site)
        self._budget = Budget.of(
            self._device,
            bytes_per_token=module.bytes_per_token,
            vocabulary=module.vocabulary,
            hidden=module.hidden,
        )
        self._plan = self._invariant_plan() if site.invariant else plan_batches

    @property
    def computes(self) -> str:
        """For the manifest; with determinism "invariant" also whether requests share a tile."""
        together = "" if self._plan is not plan_alone else "; each request in a batch of its own"
        return f"{self._decoding.computes}{together}"

    def generate(
        self, requests: Sequence[Request], decoding: Decoding, progress: Callable[[int, int], None] | None = None
    ) -> list[list[Generation]]:
        """One list per request, one Generation per seed, in order.

        A sample depends on the weights, its context, the decoding and its own seed: other samples in its batch change its
        logits by rounding only, and not at all with determinism "invariant". Raises RunFailed for a context that leaves no
        room for max_new_tokens, and for non-finite logits.
        """
        return self._drawn(requests, decoding, None, progress)

    def stream(
        self,
        requests: Sequence[Request],
        decoding: Decoding,
        ended: Callable[[Sequence[EndedSample]], None],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[Generation]]:
        """The same, telling samples after the token that ends them; those that max_new_tokens cuts off are not told."""
        return self._drawn(requests, decoding, ended, progress)

    def _drawn(
        self,
        requests: Sequence[Request],
        decoding: Decoding,
        tell: Callable[[Sequence[EndedSample]], None] | None,
        progress: Callable[[int, int], None] | None,
    ) -> list[list[Generation]]:
        check_context_fits(requests, decoding.max_new_tokens, self._max_length)
        stops = StopTexts(self._codec, decoding.stop) if decoding.stop else None
        drawn: dict[tuple[int, int], Generation] = {}
        total, done, last_report = sum(len(request.seeds) for request in requests), 0, monotonic()

        def ended(loop: BatchLoop, places: Sequence[tuple[int, int]], samples: Sequence[int]) -> None:
            nonlocal done, last_report
            done += len(samples)
            if tell is not None and (whole := [s for s in samples if loop.responses.stop_S[s] != "length"]):
                told = zip(whole, loop.responses.ended(whole), strict=True)
                tell([EndedSample(*places[s], tokens, stop) for s, (tokens, stop) in told])
            if progress is not None and (samples or monotonic() - last_report > TICK_SECONDS):
                last_report = monotonic()
                progress(done, total)

        longest = max((len(request.context) for request in requests), default=0) + decoding.max_new_tokens
        with self._decoding.sampling(longest) as new_rows:
            for batch, places in self._plan(requests, decoding.max_new_tokens, self._budget):
                loop = BatchLoop(new_rows(), batch, decoding, self._codec.eos_ids, stops, self._device)
                drawn.update(zip(places, loop.run(partial(ended, loop, places)), strict=True))
        return [[drawn[i, k] for k in range(len(request.seeds))] for i, request in enumerate(requests)]

    def sync(self, version: int) -> None:
        """Does nothing: the weights are the trainer's own."""

    def _invariant_plan(self) -> Plan:
        """Tiles, if a row's position in a tile does not affect its logits; otherwise separate batches per request."""
        num_rows = tile_rows(TILE_COLUMNS, NUM_NEW, self._budget)
        return plan_tiles if self._decoding.rows_agree(TILE_COLUMNS, num_rows) else plan_alone


@contextmanager
def open_embedded(site: SamplerSite) -> Iterator[OpenSampler]:
    """Opens the sampler. Raises EnvironmentUnmet for a model that cannot be decoded with a key-value cache."""
    yield EmbeddedSampler(site)
