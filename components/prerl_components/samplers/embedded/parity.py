"""Checks once, before sampling, that decoding with a key-value cache reproduces a plain forward's log-probabilities."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from prerl_components.samplers.embedded.kv_rows import KvRows
from prerl_spec.sdk import EnvironmentUnmet

TOLERANCE = 1e-3
"""In nats, for float32: rounding stays near 1e-6; a row that attends to other rows or padding is off by at least 1e-2."""

HALF_TOLERANCE = 0.3
"""In nats, for kernels that compute in 16 bits only."""

NUM_NEW = 4
"""Tokens appended to each prompt; a row is dropped after half of them."""

WIDEST_WINDOW = 64
"""The check's prompts exceed sliding windows up to this length."""


def check_parity(
    module: nn.Module, device: torch.device, *, vocabulary: int, max_length: int, tolerance: float = TOLERANCE
) -> int:
    """Compares rows that were prefilled together, copied, dropped and advanced with one plain forward each.

    Both with padding (unequal prompts) and without. Returns the size of one token of one row in the cache, in bytes.
    Raises EnvironmentUnmet for a model that cannot be decoded with a key-value cache.
    """
    longest = max(1, min(max_length - NUM_NEW, _revealing_length(module)))
    random = np.random.default_rng(0)
    for lengths in ((longest, max(1, longest // 3)), (longest, longest)):
        contexts = [random.integers(0, vocabulary, n).tolist() for n in lengths]
        new_ST = torch.from_numpy(random.integers(0, vocabulary, (3, NUM_NEW))).to(device)
        try:
            gap, size = _largest_gap(module, device, contexts, new_ST)
        except (TypeError, AttributeError, NotImplementedError, ValueError, RuntimeError, IndexError) as error:
            raise EnvironmentUnmet(
                f"{type(module).__name__} cannot be decoded with a key-value cache: {error}",
                hint="use a decoder-only transformers model whose attention layers cache keys and values",
            ) from error
        if not gap <= tolerance:
            raise EnvironmentUnmet(
                f"{type(module).__name__}: log-probabilities with a key-value cache differ by {gap:.2g} nats from those of "
                f"a plain forward ({tolerance:g} allowed)",
                hint='try another `attention` of the model, such as "eager", or use another model',
            )
    return size


def rows_agree(module: nn.Module, device: torch.device, *, vocabulary: int, width: int, num_rows: int) -> bool:
    """Whether equal rows of a tile have bitwise equal logits at every position: a kernel may treat the rows at an edge
    differently from the rest."""
    random = np.random.default_rng(0)
    context = random.integers(0, vocabulary, max(1, width - 3)).tolist()
    rows = KvRows(module, device)
    logits_RV = rows.prefill([context] * num_rows, NUM_NEW, width)
    rows.select(torch.arange(num_rows, device=device))
    for token in random.integers(0, vocabulary, NUM_NEW).tolist():
        if not torch.equal(logits_RV, logits_RV[:1].expand_as(logits_RV)):
            return False
        logits_RV = rows.advance(torch.full((num_rows,), token, device=device))
    return torch.equal(logits_RV, logits_RV[:1].expand_as(logits_RV))


def _revealing_length(module: nn.Module) -> int:
    window = getattr(module.config, "sliding_window", None)
    return window + 3 if isinstance(window, int) and window <= WIDEST_WINDOW else 9


def _largest_gap(
    module: nn.Module, device: torch.device, contexts: Sequence[Sequence[int]], new_ST: Tensor
) -> tuple[float, int]:
    """Largest |difference of log-probabilities|, nats, and the cache's bytes per token.

    Samples 0 and 1 continue the first prompt, sample 2 the second; sample 0 is dropped half-way.
    """
    prompt_S = [0, 0, 1]
    plain_S = [_plain_logps(module, device, contexts[p], new_T) for p, new_T in zip(prompt_S, new_ST, strict=True)]

    rows = KvRows(module, device)
    logits_RV = rows.prefill(contexts, NUM_NEW)[prompt_S]
    rows.select(torch.tensor(prompt_S, device=device))
    sample_R, gap = [0, 1, 2], 0.0
    for t in range(NUM_NEW + 1):
        for sample, logits_V in zip(sample_R, logits_RV, strict=True):
            difference_V = logits_V.float().log_softmax(-1) - plain_S[sample][t]
            gap = max(gap, float(difference_V.abs().nan_to_num(torch.inf).max()))
        if t == NUM_NEW:
            break
        if t == NUM_NEW // 2:
            rows.select(torch.tensor([1, 2], device=device))
            sample_R = [1, 2]
        logits_RV = rows.advance(new_ST[sample_R, t])
    return gap, rows.bytes_per_token()


def _plain_logps(module: nn.Module, device: torch.device, context: Sequence[int], new_T: Tensor) -> Tensor:
    """[NUM_NEW + 1, V] log-probabilities after the context and after each new token, from one forward without a cache."""
    ids = torch.cat([torch.tensor(context, device=device), new_T])[None]
    positions = torch.arange(ids.shape[1], device=device)[None]
    output = module(input_ids=ids, position_ids=positions, use_cache=False)
    logps: Tensor = output.logits[0, len(context) - 1 :].float().log_softmax(-1)
    return logps
