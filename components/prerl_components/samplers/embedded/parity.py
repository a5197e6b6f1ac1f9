"""Checks once, before sampling, that decoding with a key-value cache reproduces a plain forward's log-probabilities."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from prerl_components.samplers.embedded.decode_step import DecodeStep
from prerl_components.samplers.embedded.kv_rows import KvRows
from prerl_components.samplers.embedded.stepped_rows import SteppedRows
from prerl_spec.sdk import EnvironmentUnmet

TOLERANCE = 1e-3
"""In nats, for float32: rounding stays near 1e-6; a row that attends to other rows or padding is off by at least 1e-2."""

TIMES_NOISE = 1.5
"""For kernels that compute in 16 bits, times the model's own noise: sound rows stay within 0.6 times (seven families, bfloat16
and float16); wrong ones are beyond 2.5 times, where their effect is not itself below the rounding of 16 bits."""

STEP_TOLERANCE, STEP_TIMES_NOISE = 1e-5, 10
"""For a step of our own in float32, of the expected difference: in nats, and times the model's own noise. Sound steps stay
within 3 times (five shapes of three families, weights of standard deviation 0.02 to 0.2); a residual scaled by 0.999 is 60
to 600 times, unless the weights are so large that rounding itself reaches 1e-4."""

NUM_NEW = 4
"""Tokens appended to each prompt; a row is dropped after half of them."""

WIDEST_WINDOW = 64
"""The check's prompts exceed sliding windows up to this length."""


def check_parity(
    module: nn.Module,
    device: torch.device,
    *,
    vocabulary: int,
    max_length: int,
    in_float32: bool,
    step: DecodeStep | None = None,
    first_position: int = 0,
) -> int:
    """Compares rows that were prefilled together, copied, dropped and advanced with one plain forward each.

    Both with padding (unequal prompts) and without. Computed `in_float32`, no log-probability may be off by more than
    TOLERANCE. In 16 bits rounding alone moves those of rare tokens by half a nat: there the expected difference under the
    plain forward's distribution may be TIMES_NOISE times what `_noise` finds. That of a step of our own is bounded in float32
    too: a model that computes a little more than the step must be told from one that rounds. Rows are advanced by `step`;
    None: by the model's own forward. Every text begins at `first_position`. Returns the numbers that the cache stores of one
    token of one row.

    Raises EnvironmentUnmet for a model that cannot be decoded with a key-value cache.
    """
    longest = max(1, min(max_length - NUM_NEW, _revealing_length(module)))
    random = np.random.default_rng(0)
    for lengths in ((longest, max(1, longest // 3)), (longest, longest)):
        contexts = [random.integers(0, vocabulary, n).tolist() for n in lengths]
        new_ST = torch.from_numpy(random.integers(0, vocabulary, (3, NUM_NEW))).to(device)
        try:
            plain_S = _plain_rows(module, device, contexts, new_ST, first_position)
            bounds: list[tuple[Weigh, float]] = [(_largest, TOLERANCE)] if in_float32 else []
            if not in_float32 or step is not None:
                noise = _noise(module, device, contexts, new_ST, plain_S, first_position)
                least, times = (STEP_TOLERANCE, STEP_TIMES_NOISE) if in_float32 else (TOLERANCE, TIMES_NOISE)
                bounds.append((_expected, max(least, times * noise)))
            found = []
            for weigh, tolerance in bounds:
                rows = KvRows(module, device) if step is None else SteppedRows(module, device, step)
                gap, size = _cached_gap(rows, device, contexts, new_ST, plain_S, weigh, first_position)
                found.append((gap, tolerance))
        except (TypeError, AttributeError, NotImplementedError, ValueError, RuntimeError, IndexError) as error:
            raise EnvironmentUnmet(
                f"{type(module).__name__} cannot be decoded with a key-value cache: {error}",
                hint="use a decoder-only transformers model whose attention layers cache keys and values",
            ) from error
        for gap, tolerance in found:
            if not math.isfinite(gap) or gap > tolerance:
                raise EnvironmentUnmet(
                    f"{type(module).__name__}: log-probabilities with a key-value cache differ by {gap:.2g} nats from those "
                    f"of a plain forward ({tolerance:.2g} allowed)",
                    hint='try another `attention` of the model, such as "eager", or use another model',
                )
    return size


def rows_agree(rows: KvRows, device: torch.device, *, vocabulary: int, width: int, num_rows: int) -> bool:
    """Whether equal rows of a tile have bitwise equal logits at every position: a kernel may treat the rows at an edge
    differently from the rest."""
    random = np.random.default_rng(0)
    context = random.integers(0, vocabulary, max(1, width - 3)).tolist()
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


Weigh = Callable[[Tensor, Tensor], float]
"""(log-probabilities [V] of a plain forward, those to compare) -> their difference, nats."""

ROW_PROMPTS = (0, 0, 1)
"""The prompt of each sample: samples 0 and 1 continue the first, sample 2 the second; sample 0 is dropped half-way."""


def _largest(plain_V: Tensor, other_V: Tensor) -> float:
    """max |Δ log p|, inf for nan."""
    return float((other_V - plain_V).abs().nan_to_num(torch.inf).max())


def _expected(plain_V: Tensor, other_V: Tensor) -> float:
    """Σ p |Δ log p| under the plain forward's p, inf for nan: rare tokens, which 16 bits resolve badly, weigh little."""
    return float((plain_V.exp() * (other_V - plain_V).abs()).nan_to_num(torch.inf).sum())


def _cached_gap(
    rows: KvRows,
    device: torch.device,
    contexts: Sequence[Sequence[int]],
    new_ST: Tensor,
    plain_S: Sequence[Tensor],
    weigh: Weigh,
    first_position: int,
) -> tuple[float, int]:
    """The largest difference over samples and positions, and the cache's numbers per token."""
    logits_RV = rows.prefill(contexts, NUM_NEW, first_position=first_position)[list(ROW_PROMPTS)]
    rows.select(torch.tensor(ROW_PROMPTS, device=device))
    sample_R, gap = [0, 1, 2], 0.0
    for t in range(NUM_NEW + 1):
        for sample, logits_V in zip(sample_R, logits_RV, strict=True):
            gap = max(gap, weigh(plain_S[sample][t], logits_V.float().log_softmax(-1)))
        if t == NUM_NEW:
            break
        if t == NUM_NEW // 2:
            rows.select(torch.tensor([1, 2], device=device))
            sample_R = [1, 2]
        logits_RV = rows.advance(new_ST[sample_R, t])
    return gap, rows.numbers_per_token()


def _noise(
    module: nn.Module,
    device: torch.device,
    contexts: Sequence[Sequence[int]],
    new_ST: Tensor,
    plain_S: Sequence[Tensor],
    first_position: int,
) -> float:
    """What rounding alone may do: the largest `_expected` difference of plain forwards in which every output of a module
    without submodules is moved by up to one unit in its last place.

    Neither padding, other rows nor a cache take part, so that no fault of theirs can widen it.
    """
    generator = torch.Generator(device).manual_seed(0)

    def moved(part: nn.Module, inputs: object, output: object) -> Tensor | None:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        unit = torch.rand(output.shape, generator=generator, device=output.device) * 2 - 1
        return (output.float() * (1 + torch.finfo(output.dtype).eps * unit)).to(output.dtype)

    leaves = [part for part in module.modules() if next(part.children(), None) is None]
    handles = [part.register_forward_hook(moved) for part in leaves]
    try:
        other_S = _plain_rows(module, device, contexts, new_ST, first_position)
    finally:
        for handle in handles:
            handle.remove()
    return max(
        _expected(p, o) for p_T, o_T in zip(plain_S, other_S, strict=True) for p, o in zip(p_T, o_T, strict=True)
    )


def _plain_rows(
    module: nn.Module, device: torch.device, contexts: Sequence[Sequence[int]], new_ST: Tensor, first_position: int
) -> list[Tensor]:
    """For each sample the log-probabilities of its own plain forward."""
    return [
        _plain_logps(module, device, contexts[prompt], new_T, first_position)
        for prompt, new_T in zip(ROW_PROMPTS, new_ST, strict=True)
    ]


def _plain_logps(
    module: nn.Module, device: torch.device, context: Sequence[int], new_T: Tensor, first_position: int
) -> Tensor:
    """[NUM_NEW + 1, V] log-probabilities after the context and after each new token, from one forward without a cache."""
    ids = torch.cat([torch.tensor(context, device=device), new_T])[None]
    positions = first_position + torch.arange(ids.shape[1], device=device)[None]
    output = module(input_ids=ids, position_ids=positions, use_cache=False)
    logps: Tensor = output.logits[0, len(context) - 1 :].float().log_softmax(-1)
    return logps
