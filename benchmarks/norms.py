"""What RMS norms cost: a model's own, F.rms_norm, and the engine's, in a forward and backward pass of the whole model.

    OMP_NUM_THREADS=1 python -m benchmarks.norms [--width 128] [--layers 4] [--vocabulary 51] [--rounds 7] [--dtype float32]

CPU seconds of one thread for four rows of 256 tokens of a Qwen3 with random weights; the ways alternate in every round, the
table has medians, and the share of the first. The last column is the largest relative difference of a parameter's gradient.
"""

import argparse
import statistics
import time
from copy import deepcopy
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, Qwen3Config

from prerl_spec.engine.policy.norms import fuse_norms


def model_of(width: int, layers: int, vocabulary: int) -> Any:
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        num_key_value_heads=max(1, width // 64),
        head_dim=32,
        intermediate_size=3 * width,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    untyped: Any = AutoModelForCausalLM
    return untyped.from_config(config, dtype=torch.float32).eval()


def by_library(norm: Any, hidden: Tensor) -> Tensor:
    return nn.functional.rms_norm(hidden, norm.weight.shape, norm.weight, norm.variance_epsilon)


def ways(model: Any) -> dict[str, Any]:
    library, ours = deepcopy(model), deepcopy(model)
    for norm in library.modules():
        if type(norm).__name__.endswith("RMSNorm"):
            norm.forward = MethodType(by_library, norm)
    print(f"{fuse_norms(ours, torch.float32)} norms\n")
    return {"the model's own": model, "F.rms_norm": library, "ours": ours}


def run(model: Any, ids: Tensor, dtype: torch.dtype) -> tuple[float, list[Tensor]]:
    model.zero_grad()
    begin = time.process_time()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        logits = model(input_ids=ids, use_cache=False).logits
    logits.float().log_softmax(-1)[..., 0].sum().backward()
    return time.process_time() - begin, [p.grad for p in model.parameters()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=51)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="autocast's")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    ids = torch.randint(0, chosen.vocabulary, (4, 256), generator=torch.Generator().manual_seed(0))
    models = ways(model_of(chosen.width, chosen.layers, chosen.vocabulary))
    seconds: dict[str, list[float]] = {name: [] for name in models}
    differ: dict[str, float] = {}
    for counted in range(chosen.rounds + 1):
        reference: list[Tensor] = []
        for name, model in models.items():
            spent, gradients = run(model, ids, getattr(torch, chosen.dtype))
            reference = reference or [g.clone() for g in gradients]
            pairs = zip(gradients, reference, strict=True)
            differ[name] = max(float((g - r).norm() / r.norm()) for g, r in pairs)
            seconds[name] += [spent] if counted else []
    print("| norms | CPU s | share | gradients differ by |\n|---|---|---|---|")
    first = statistics.median(seconds["the model's own"])
    for name, spent_in in seconds.items():
        median = statistics.median(spent_in)
        print(f"| {name} | {median:.4f} | {median / first:.3f} | {differ[name]:.1e} |")


if __name__ == "__main__":
    main()
