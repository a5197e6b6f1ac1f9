"""Whether a module's tokens may be decoded by `DecodeStep`: measured on random texts when the sampler opens."""

import torch
from torch import nn

from prerl_components.samplers.embedded.decode_step import DecodeStep
from prerl_components.samplers.embedded.decoder_weights import Rotary
from prerl_components.samplers.embedded.kv_cache import roomy_cache
from prerl_components.samplers.embedded.parity import check_parity
from prerl_components.samplers.embedded.read_decoder import read_decoder
from prerl_spec.sdk import EnvironmentUnmet

OTHER_PARTS = "its parts are not those of a plain decoder"
SEES_LESS = "its attention does not see all tokens before"
BY_THE_LONGEST = "its rotation depends on the longest row"
DISAGREES = "a step of its own does not compute what the model does"

CHECKED_POSITIONS = 128
"""The first and the last positions in which texts are compared: more than the prompts and new tokens of `check_parity`."""


def current_step(module: nn.Module, dtype: torch.dtype | None, num_positions: int) -> DecodeStep | None:
    """The module's current weights as a step, products in `dtype` (None: as they are); None if they cannot be read."""
    weights = read_decoder(module, dtype)
    return None if weights is None else DecodeStep(weights, range(num_positions))


def step_numbers(
    module: nn.Module,
    device: torch.device,
    dtype: torch.dtype | None,
    *,
    vocabulary: int,
    max_length: int,
    in_float32: bool,
) -> int | str:
    """The cache's numbers per token if `DecodeStep` computes what the module does, up to rounding; else why it may not be
    used."""
    weights = read_decoder(module, dtype)
    # A window that is wider than the check's texts would not be noticed.
    attends_to_all = roomy_cache(module.config, dtype)[1]
    if weights is None or not attends_to_all:
        return OTHER_PARTS if weights is None else SEES_LESS
    try:
        if weights.rotary is not None and not _is_fixed(weights.rotary, weights.embedding, max_length):
            return BY_THE_LONGEST
        # Some models scale queries by their position, from a position on that is further than the check's texts are long.
        last = max_length if weights.position_embedding is None else min(max_length, len(weights.position_embedding))
        for first in sorted({0, max(0, last - CHECKED_POSITIONS)}):
            positions = range(first, min(last, first + CHECKED_POSITIONS))
            numbers = check_parity(
                module,
                device,
                vocabulary=vocabulary,
                max_length=len(positions),
                in_float32=in_float32,
                step=DecodeStep(weights, positions),
                first_position=first,
            )
        return numbers
    except (EnvironmentUnmet, TypeError, ValueError, RuntimeError, IndexError):
        # A rotation that is called in another way, shapes that do not fit: another layout after all.
        return DISAGREES


def _is_fixed(rotary: Rotary, like: torch.Tensor, max_length: int) -> bool:
    """Whether the rotation at a position is the same beside the last position: some scalings depend on the longest row."""
    last = max(1, max_length - 1)
    together, _ = rotary(like[:1], torch.tensor([[0, 1, last]], device=like.device))
    # The short call comes last: a scaling that remembers the longest row seen is left as it was.
    alone, _ = rotary(like[:1], torch.tensor([[0, 1]], device=like.device))
    return torch.equal(together[:, :2], alone)
