"""The opened embedded sampler: decodes with the trainer's module in evaluation mode."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from prerl_components.samplers.embedded.decode_step import DecodeStep
from prerl_components.samplers.embedded.kv_loop import Batch, BatchLoop
from prerl_components.samplers.embedded.kv_rows import KvRows
from prerl_components.samplers.embedded.own_step import current_step, step_numbers
from prerl_components.samplers.embedded.parity import NUM_NEW, check_parity, rows_agree
from prerl_components.samplers.embedded.stepped_rows import SteppedRows
from prerl_components.samplers.embedded.stop_texts import StopTexts
from prerl_components.samplers.shared.context_limit import check_context_fits
from prerl_spec.sdk import Decoding, Generation, OpenSampler, Request, SamplerSite

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
        self._cast_dtype = None if self._compute_dtype == torch.float32 else self._compute_dtype
        module: Any = self._module
        vocabulary, hidden = module.get_input_embeddings().weight.shape
        # Wrong rows are easiest to detect in float32; flash attention has no float32 kernel.
        in_float32 = module.dtype == torch.float32 and not module.config._attn_implementation.startswith("flash")
        numbers = self._checked(vocabulary, in_float32)
        itemsize = (self._cast_dtype or module.dtype).itemsize
        self._budget = Budget.of(self._device, bytes_per_token=numbers * itemsize, vocabulary=vocabulary, hidden=hidden)
        self._plan = self._invariant_plan(vocabulary) if site.invariant else plan_batches

    def generate(
        self, requests: Sequence[Request], decoding: Decoding, progress: Callable[[int, int], None] | None = None
    ) -> list[list[Generation]]:
        """One list per request, one Generation per seed, in order.

        A sample depends on the weights, its context, the decoding and its own seed: other samples in its batch change its
        logits by rounding only, and not at all with determinism "invariant". Raises RunFailed for a context that leaves no
        room for max_new_tokens, and for non-finite logits.
        """
        check_context_fits(requests, decoding.max_new_tokens, self._max_length)
        stops = StopTexts(self._codec, decoding.stop) if decoding.stop else None
        drawn: dict[tuple[int, int], Generation] = {}
        total, done, last_report = sum(len(request.seeds) for request in requests), 0, monotonic()

        def ended(num_samples: int) -> None:
            nonlocal done, last_report
            done += num_samples
            if progress is not None and (num_samples or monotonic() - last_report > TICK_SECONDS):
                last_report = monotonic()
                progress(done, total)

        longest = max((len(request.context) for request in requests), default=0) + decoding.max_new_tokens
        with self._sampling():
            step = self._step(longest)
            for batch, places in self._plan(requests, decoding.max_new_tokens, self._budget):
                rows = self._rows(step)
                loop = BatchLoop(rows, batch, decoding, self._codec.eos_ids, stops, self._device)
                drawn.update(zip(places, loop.run(ended), strict=True))
        return [[drawn[i, k] for k in range(len(request.seeds))] for i, request in enumerate(requests)]

    def sync(self, version: int) -> None:
        """Does nothing: the weights are the trainer's own."""

    def _checked(self, vocabulary: int, in_float32: bool) -> int:
        """The cache's numbers per token, after the check that decoding with it is sound; decides `_has_own_step`."""
        sizes: list[int | None] = []
        with torch.inference_mode(), evaluation_mode(self._module):
            settings = {"vocabulary": vocabulary, "max_length": self._max_length}
            if in_float32:
                sizes.append(step_numbers(self._module, self._device, None, **settings, in_float32=True))
            if not in_float32 or self._cast_dtype is not None:
                with self._autocast():
                    dtype = self._cast_dtype
                    sizes.append(step_numbers(self._module, self._device, dtype, **settings, in_float32=False))
            self._has_own_step = None not in sizes
            if self._has_own_step:
                return sizes[0]
            with self._autocast(enabled=not in_float32):
                return check_parity(self._module, self._device, **settings, in_float32=in_float32)

    def _step(self, num_positions: int) -> DecodeStep | None:
        """The current weights as a step of our own, where it computes what the module does."""
        return current_step(self._module, self._cast_dtype, num_positions) if self._has_own_step else None

    def _rows(self, step: DecodeStep | None) -> KvRows:
        if step is None:
            return KvRows(self._module, self._device, self._cast_dtype)
        return SteppedRows(self._module, self._device, step)

    def _invariant_plan(self, vocabulary: int) -> Plan:
        """Tiles, if a row's position in a tile does not affect its logits; otherwise separate batches per request."""
        agree = self._rows_agree(vocabulary)
        if not agree and self._has_own_step:
            self._has_own_step = False
            agree = self._rows_agree(vocabulary)
        return plan_tiles if agree else plan_alone

    def _rows_agree(self, vocabulary: int) -> bool:
        num_rows = tile_rows(TILE_COLUMNS, NUM_NEW, self._budget)
        with self._sampling():
            rows = self._rows(self._step(TILE_COLUMNS + NUM_NEW))
            return rows_agree(rows, self._device, vocabulary=vocabulary, width=TILE_COLUMNS, num_rows=num_rows)

    @contextmanager
    def _sampling(self) -> Iterator[None]:
        """No gradient, evaluation mode, autocast.

        Autocast keeps its casts of the weights in `no_grad`, but not in `inference_mode`, where the module's own forward
        would cast every weight at every token.
        """
        keeps_casts = self._cast_dtype is not None and not self._has_own_step
        without_gradient = torch.no_grad() if keeps_casts else torch.inference_mode()
        with without_gradient, evaluation_mode(self._module), self._autocast():
            yield

    def _autocast(self, *, enabled: bool = True) -> torch.autocast:
        dtype = self._cast_dtype
        return torch.autocast(self._device.type, dtype=dtype, enabled=enabled and dtype is not None)


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
