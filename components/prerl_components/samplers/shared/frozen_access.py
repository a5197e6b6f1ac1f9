"""`PolicyAccess` to a frozen model: lets samplers with their own copy of the weights run in an evaluation."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prerl_spec.sdk import LoadedModel


class FrozenAccess:
    """`PolicyAccess` over a loaded model, in one process."""

    rank = 0
    size = 1
    has_adapter = False

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter under its name in a transformers checkpoint, tied ones once, with the adapter merged."""
        if self._loaded.adapter is None:
            for name, parameter in self._loaded.module.named_parameters():
                yield name, parameter.detach()
            return
        for name, weight, change in self._loaded.adapter.weights():
            tensor = weight.detach().float()
            yield name, tensor if change is None else tensor + change(torch.Tensor.detach)

    def save_adapter(self, folder: Path) -> None:
        raise AssertionError("a frozen model pushes merged weights: has_adapter is False")

    @torch.no_grad()
    def logprobs(self, context: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """log P(token | context, earlier tokens) of each token at temperature 1, in nats."""
        module: Any = self._loaded.module
        device, dtype = module.device, self._loaded.compute_dtype
        was_training = module.training
        module.eval()
        try:
            with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
                ids = torch.tensor([[*context, *tokens]], device=device)
                logits = module(input_ids=ids, use_cache=False).logits[0, len(context) - 1 : -1]
        finally:
            module.train(was_training)
        chosen = logits.float().log_softmax(-1).gather(-1, torch.tensor(tokens, device=device)[:, None])
        return [float(p) for p in chosen[:, 0].tolist()]

    def barrier(self) -> None:
        """Returns at once: there is only one process."""
