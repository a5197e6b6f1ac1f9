"""CPU seconds of the embedded sampler's decoding beside its floor, the matrix products alone; turns alternate.

    OMP_NUM_THREADS=1 python -m benchmarks.decode [--vocabularies 51 32768] [--rows 1 16 64] [--repeats 5] [--bfloat16]

Qwen3, hidden 128, four layers. "floor": the products of all layers and of the head, as often as they are computed. "own
step": `DecodeStep`. "model's forward": the same sampler advanced by transformers' forward, as it is for models of another
layout. "draw": the draw alone, on logits of that size.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from prerl_components.samplers.embedded.draw import draw
from prerl_components.samplers.embedded.sampler import EmbeddedSampler
from torch import nn
from torch.nn import functional
from transformers import Qwen3Config, Qwen3ForCausalLM

from benchmarks.sampler import requests
from prerl_spec.sdk import Codec, Decoding, LoadedModel, SamplerSite
from prerl_spec.testing.tiny import byte_tokenizer

SIZES: dict[str, Any] = {
    "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
    "intermediate_size": 384, "tie_word_embeddings": True, "max_position_embeddings": 1024,
}  # fmt: skip
NEW_TOKENS = 64
GROUP = 8


def build(vocabulary: int) -> Any:
    torch.manual_seed(0)
    return Qwen3ForCausalLM(Qwen3Config(**SIZES, vocab_size=vocabulary)).eval()


def floor(model: Any, num_rows: int, dtype: torch.dtype) -> Callable[[], object]:
    """Every linear layer's product on the rows of each token."""
    weights = [part.weight.detach().to(dtype) for part in model.modules() if isinstance(part, nn.Linear)]
    inputs = [torch.randn(num_rows, weight.shape[1], dtype=dtype) for weight in weights]

    def products() -> None:
        for _ in range(NEW_TOKENS):
            for x, weight in zip(inputs, weights, strict=True):
                functional.linear(x, weight)

    return products


def draws(num_rows: int, vocabulary: int) -> Callable[[], object]:
    logits_RV = torch.randn(num_rows, vocabulary, generator=torch.Generator().manual_seed(0))
    uniform_R = torch.rand(num_rows, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return lambda: [draw(logits_RV, Decoding(), uniform_R) for _ in range(NEW_TOKENS)]


def contestants(vocabulary: int, num_rows: int, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    model = build(vocabulary)
    codec = Codec.of_tokenizer(byte_tokenizer())
    codec.eos_ids = ()
    workload = requests(max(GROUP, num_rows), vocabulary)
    if num_rows < GROUP:
        workload = [type(workload[0])(workload[0].context, workload[0].seeds[:num_rows])]
    samplers = []
    for has_own_step in (True, False):
        sampler = EmbeddedSampler(SamplerSite(LoadedModel(model, None, codec, dtype, {}), "cpu", 512))
        assert sampler._decoding.has_own_step, "the step was refused"
        sampler._decoding.has_own_step = has_own_step
        samplers.append(sampler)
    decoding = Decoding(max_new_tokens=NEW_TOKENS)
    own, through_model = samplers
    return {
        "floor": floor(model, num_rows, dtype),
        "own step": lambda: own.generate(workload, decoding),
        "model's forward": lambda: through_model.generate(workload, decoding),
        "draw": draws(num_rows, vocabulary),
    }


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    with torch.inference_mode():
        run()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[51])
    parser.add_argument("--rows", type=int, nargs="+", default=[64], help=f"below {GROUP}, or multiples of it")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bfloat16", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = ("floor", "own step", "model's forward", "draw")
    print(f"{'vocabulary':>10}{'rows':>6}" + "".join(f"{name:>28}" for name in names))
    for vocabulary in arguments.vocabularies:
        for num_rows in arguments.rows:
            dtype = torch.bfloat16 if arguments.bfloat16 else torch.float32
            runs = contestants(vocabulary, num_rows, dtype)
            taken = [{name: seconds(run) for name, run in runs.items()} for _ in range(arguments.repeats + 1)][1:]
            cells = []
            for name in names:
                values = sorted(turn[name] for turn in taken)
                cells.append(f"{median(values):12.4f} ({values[0]:.4f}-{values[-1]:.4f})".rjust(28))
            print(f"{vocabulary:10}{num_rows:6}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
