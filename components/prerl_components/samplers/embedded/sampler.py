"""The opened embedded sampler: decodes with the trainer's module in evaluation mode."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Any

import torch
from torch import nn

from prerl_components.samplers.embedded.batches import (
    TILE_COLUMNS,
    Budget,
    plan_alone,
    plan_batches,
    plan_tiles,
    tile_rows,
)
from prerl_components.samplers.embedded.kv_loop import Batch, BatchLoop
from prerl_components.samplers.embedded.kv_rows import KvRows
from prerl_components.samplers.embedded.parity import NUM_NEW, check_parity, rows_agree
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
        self._module = site.model.module
        self._codec = site.model.codec
        self._compute_dtype = site.model.compute_dtype
        self._device = torch.device(site.device)
        self._max_length = site.max_length
        module: Any = self._module
        vocabulary, hidden = module.get_input_embeddings().weight.shape
        # Wrong rows are easiest to detect in float32; flash attention has no float32 kernel.
        in_float32 = module.dtype == torch.float32 and not module.config._attn_implementation.startswith("flash")
        with torch.inference_mode(), evaluation_mode(self._module), self._autocast(enabled=not in_float32):
            size = check_parity(
                self._module,
                self._device,
                vocabulary=vocabulary,
                max_length=self._max_length,
                in_float32=in_float32,
            )
        self._budget = Budget.of(self._device, bytes_per_token=size, vocabulary=vocabulary, hidden=hidden)
        self._plan = self._invariant_plan(vocabulary) if site.invariant else plan_batches

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

        with torch.inference_mode(), evaluation_mode(self._module), self._autocast():
            for batch, places in self._plan(requests, decoding.max_new_tokens, self._budget):
                rows = KvRows(self._module, self._device)
                loop = BatchLoop(rows, batch, decoding, self._codec.eos_ids, stops, self._device)
                drawn.update(zip(places, loop.run(partial(ended, loop, places)), strict=True))
        return [[drawn[i, k] for k in range(len(request.seeds))] for i, request in enumerate(requests)]

    def sync(self, version: int) -> None:
        """Does nothing: the weights are the trainer's own."""

    def _invariant_plan(self, vocabulary: int) -> Plan:
        """Tiles, if a row's position in a tile does not affect its logits; otherwise separate batches per request."""
        with torch.inference_mode(), evaluation_mode(self._module), self._autocast():
            agree = rows_agree(
                self._module,
                self._device,
                vocabulary=vocabulary,
                width=TILE_COLUMNS,
                num_rows=tile_rows(TILE_COLUMNS, NUM_NEW, self._budget),
            )
        return plan_tiles if agree else plan_alone

    def _autocast(self, *, enabled: bool = True) -> torch.autocast:
        wanted = enabled and self._compute_dtype != torch.float32
        return torch.autocast(self._device.type, dtype=self._compute_dtype, enabled=wanted)


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the context; restores every submodule's own mode afterwards."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def open_embedded(site: SamplerSite) -> Iterator[OpenSampler]:
    """Opens the sampler. Raises EnvironmentUnmet for a model that cannot be decoded with a key-value cache."""
    yield EmbeddedSampler(site)
