"""Loads new weights into a running vLLM engine: the only place that depends on vLLM's version and device.

These functions run inside a worker, in the trainer's process or in a server's (there through `worker_extension_cls`).
"""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn


def load_into_worker(worker: Any, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Replaces a worker's weights by `tensors`, (name in a transformers checkpoint, tensor) pairs.

    The caller must reset the prefix cache afterwards: its blocks were computed with the old weights.
    """
    from vllm.platforms import current_platform

    model = worker.model_runner.get_model()
    if current_platform.is_cpu() or worker.vllm_config.quant_config is not None:
        # The kernels use packed copies of the weights: writing into the parameters would have no effect.
        worker.reload_weights(weights_iterator=tensors)
        repack_tied_heads(model)
    else:
        # Untested: written from vLLM's sources and other trainers' code, not run on a GPU.
        model.load_weights(tensors)


def repack_tied_heads(model: nn.Module) -> None:
    """Repacks the head's weights on CPUs.

    A tied head has no entry in the checkpoint, so `reload_weights` (0.32) does not update its packed copy: responses would
    be computed with the new layers and the old head, without an error.
    """
    from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead

    for layer in model.modules():
        if isinstance(layer, ParallelLMHead) and hasattr(layer, "cpu_linear"):
            dispatch_cpu_unquantized_gemm(layer, remove_weight=False)
