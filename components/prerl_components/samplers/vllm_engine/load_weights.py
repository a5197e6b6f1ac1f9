"""New weights into a running vLLM engine: the one place that knows how its versions and devices want them.

These functions run inside a worker, whether it lives in the trainer's process or in a server's (there through
`worker_extension_cls`).
"""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn


def load_into_worker(worker: Any, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Replaces a worker's weights by these, given one at a time under the names of a transformers checkpoint.

    Whoever calls it must reset the prefix cache after: what it holds was computed by the old weights.
    """
    from vllm.platforms import current_platform

    model = worker.model_runner.get_model()
    if current_platform.is_cpu() or worker.vllm_config.quant_config is not None:
        # The kernels' weights are packed copies there: writing into the parameters would change nothing that is used.
        worker.reload_weights(weights_iterator=tensors)
        mend_tied_heads(model)
    else:
        # Untested: written from vLLM's sources and from what other trainers do, not run on a GPU.
        model.load_weights(tensors)


def mend_tied_heads(model: nn.Module) -> None:
    """Packs the head's weights anew on CPUs.

    A tied head has no weights of its own in the checkpoint, so `reload_weights` (0.32) leaves its packed copy as it was:
    responses would come from the new layers and the old head, without an error.
    """
    from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead

    for layer in model.modules():
        if isinstance(layer, ParallelLMHead) and hasattr(layer, "cpu_linear"):
            dispatch_cpu_unquantized_gemm(layer, remove_weight=False)
