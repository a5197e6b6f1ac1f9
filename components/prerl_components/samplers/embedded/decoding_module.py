"""The trainer's module as the embedded sampler uses it: checked when it opens, without gradient or dropout while it samples."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from prerl_components.samplers.embedded.expected import OWN_FORWARD, OWN_STEP
from prerl_components.samplers.embedded.kv_rows import KvRows
from prerl_components.samplers.embedded.own_step import current_step, step_numbers
from prerl_components.samplers.embedded.parity import NUM_NEW, check_parity, rows_agree
from prerl_components.samplers.embedded.stepped_rows import SteppedRows
from prerl_spec.sdk import SamplerSite


class DecodingModule:
    """`has_own_step`: whether tokens are decoded by `DecodeStep`, which is measured; else by the module's own forward, and
    `why_not` says why.

    `bytes_per_token` is the size of one token of one row in the cache.
    """

    def __init__(self, site: SamplerSite) -> None:
        """Raises EnvironmentUnmet for a module that cannot be decoded with a key-value cache."""
        self._module = site.model.module
        self._device = torch.device(site.device)
        self._max_length = site.max_length
        self._cast_dtype = None if site.model.compute_dtype == torch.float32 else site.model.compute_dtype
        module: Any = self._module
        self.vocabulary, self.hidden = (int(n) for n in module.get_input_embeddings().weight.shape)
        # Wrong rows are easiest to detect in float32; flash attention has no float32 kernel.
        in_float32 = module.dtype == torch.float32 and not module.config._attn_implementation.startswith("flash")
        with torch.inference_mode(), evaluation_mode(self._module):
            numbers = self._own_step_numbers(in_float32)
            self.why_not = numbers if isinstance(numbers, str) else None
            self.has_own_step = self.why_not is None
            if isinstance(numbers, str):
                with self._autocast(enabled=not in_float32):
                    numbers = check_parity(
                        self._module,
                        self._device,
                        vocabulary=self.vocabulary,
                        max_length=self._max_length,
                        in_float32=in_float32,
                    )
        self.bytes_per_token = numbers * (self._cast_dtype or module.dtype).itemsize

    @contextmanager
    def sampling(self, num_positions: int) -> Iterator[Callable[[], KvRows]]:
        """Inside, the value makes the rows of a batch with the current weights, at positions below `num_positions`."""
        # Autocast keeps its casts of the weights in `no_grad`, but not in `inference_mode`, where the module's own forward
        # would cast every weight at every token.
        keeps_casts = self._cast_dtype is not None and not self.has_own_step
        without_gradient = torch.no_grad() if keeps_casts else torch.inference_mode()
        with without_gradient, evaluation_mode(self._module), self._autocast():
            step = current_step(self._module, self._cast_dtype, num_positions) if self.has_own_step else None
            if step is None:
                yield lambda: KvRows(self._module, self._device, self._cast_dtype)
            else:
                yield lambda: SteppedRows(self._module, self._device, step)

    def rows_agree(self, width: int, num_rows: int) -> bool:
        """Whether a row's position in a tile does not affect its logits. Gives up the own step if that is to blame."""
        with self.sampling(width + NUM_NEW) as new_rows:
            agree = rows_agree(new_rows(), self._device, vocabulary=self.vocabulary, width=width, num_rows=num_rows)
        if agree or not self.has_own_step:
            return agree
        self.has_own_step, self.why_not = False, "equal rows of a tile have other bits in a step of its own"
        return self.rows_agree(width, num_rows)

    @property
    def computes(self) -> str:
        """How a token is decoded, in words, and why if it is by the module's own forward."""
        return OWN_STEP if self.has_own_step else f"{OWN_FORWARD}: {self.why_not}"

    def _own_step_numbers(self, in_float32: bool) -> int | str:
        """The cache's numbers per token if the own step agrees in float32, where possible, and in the dtype of computation;
        else why it is not used."""
        checks: list[tuple[torch.dtype | None, bool]] = [(None, True)] if in_float32 else []
        if not in_float32 or self._cast_dtype is not None:
            checks.append((self._cast_dtype, False))
        numbers: int | str = 0
        for dtype, exact in checks:
            with self._autocast(enabled=not exact):
                numbers = step_numbers(
                    self._module,
                    self._device,
                    dtype,
                    vocabulary=self.vocabulary,
                    max_length=self._max_length,
                    in_float32=exact,
                )
            if isinstance(numbers, str):
                break
        return numbers

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
