"""Hashes of the weights as a vLLM worker computes with them: packed copies included, through the kernels that use them.

These functions run inside a worker, in the trainer's process or in a server's.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from prerl_components.samplers.shared.row_hashes import (
    CHUNK,
    NOT_FINITE,
    Hashes,
    digest,
    factors,
    hash_sums,
    row_hashes,
)


@torch.no_grad()
def engine_rows(worker: Any) -> dict[str, Hashes]:
    """The row hashes of every weight, by its name in the engine: parameters, packed copies, stacked adapters.

    Empty for a quantised engine, whose weights are not the trainer's in any dtype.
    """
    if worker.vllm_config.quant_config is not None:
        return {}
    return {name: rows for name, rows in _rows(worker.model_runner.get_model()) if len(rows)}


def _rows(model: nn.Module) -> Iterator[tuple[str, Hashes]]:
    for name, parameter in model.named_parameters():
        yield name, row_hashes(parameter)
    for name, module in model.named_modules():
        if hasattr(module, "cpu_linear"):
            yield f"{name} (packed)", packed_rows(module)
        for attribute, value in vars(module).items():
            if attribute.endswith(("lora_a_stacked", "lora_b_stacked")):
                tensors = [value] if isinstance(value, Tensor) else value
                for number, tensor in enumerate(tensors):
                    yield f"{name}.{attribute}[{number}]", row_hashes(tensor)


def packed_rows(layer: Any) -> Hashes:
    """The row hashes of the weight that a linear layer multiplies by, which its kernel may keep packed: the layer's own
    output for every unit vector is that column of the weight, exactly. Costs a forward of `in_features` tokens."""
    weight: Tensor = layer.weight
    columns = weight.shape[1] if weight.ndim == 2 else int(layer.input_size_per_partition)
    factor_C = torch.from_numpy(factors(columns))
    unit_CC = torch.eye(columns, dtype=weight.dtype)
    block_CR = layer.cpu_linear(unit_CC[:1], weight, None)
    width = max(1, CHUNK // block_CR.shape[1])
    parts = [
        hash_sums(layer.cpu_linear(unit_CC[start : start + width], weight, None).T, factor_C[start : start + width])
        for start in range(0, columns, width)
    ]
    part_PR = torch.stack(parts)
    total_R = torch.where((part_PR == NOT_FINITE).any(0), NOT_FINITE, part_PR.sum(0))
    hashes: Hashes = total_R.numpy()
    return hashes


class LocalWeights:
    """`EngineWeights` of a `vllm.LLM` in this process."""

    name = "the engine"
    num_workers = 1

    def __init__(self, llm: Any) -> None:
        self._llm = llm

    def rows(self) -> dict[str, Hashes]:
        found: list[dict[str, Hashes]] = self._llm.collective_rpc(engine_rows)
        return found[0]

    def digests(self) -> dict[str, int]:
        return {name: digest(rows) for name, rows in self.rows().items()}
