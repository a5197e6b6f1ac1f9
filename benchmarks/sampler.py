"""Throughput of the embedded sampler compared with `model.generate`: same weights, prompts and lengths, alternating runs.

    OMP_NUM_THREADS=1 python benchmarks/sampler.py [--repeats 5] [--samples 128 2048]

Ours also returns the log-probability and the entropy of every token; `generate` returns tokens only. A ratio is the
median over repetitions of (ours / theirs) within a repetition, so that load on the machine affects both.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from prerl_components.samplers.transformers import Transformers
from transformers import Qwen3Config, Qwen3ForCausalLM

from prerl_spec.sdk import Codec, Decoding, LoadedModel, OpenSampler, Request, SamplerSite
from prerl_spec.testing.tiny import byte_tokenizer

MODELS: dict[str, dict[str, int]] = {
    "0.3 M (default experiment)": {
        "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 32,
        "intermediate_size": 256, "vocab_size": 87,
    },
    "2.4 M": {
        "hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
        "intermediate_size": 768, "vocab_size": 259,
    },
}  # fmt: skip
GROUP = 8
PROMPT_TOKENS = (16, 24)


@dataclass(frozen=True)
class Task:
    """With empty `eos_ids` every response has the full length; otherwise responses end at EOS (2 of 87 tokens are EOS: 43
    tokens on average)."""

    name: str
    max_new_tokens: int
    eos_ids: tuple[int, ...]


TASKS = (Task("64 tokens each", 64, ()), Task("until EOS, at most 110", 110, (1, 2)))


def build(sizes: dict[str, int]) -> Any:
    torch.manual_seed(0)
    settings: dict[str, Any] = {**sizes, "tie_word_embeddings": True, "max_position_embeddings": 512}
    return Qwen3ForCausalLM(Qwen3Config(**settings))


def requests(num_samples: int, vocabulary: int) -> list[Request]:
    numbers = np.random.default_rng(0)
    return [
        Request(
            tuple(numbers.integers(3, vocabulary, numbers.integers(*PROMPT_TOKENS)).tolist()),
            tuple(range(GROUP * i, GROUP * i + GROUP)),
        )
        for i in range(num_samples // GROUP)
    ]


def ours(sampler: OpenSampler, workload: list[Request], task: Task) -> int:
    """Number of generated tokens, EOS included."""
    drawn = sampler.generate(workload, Decoding(max_new_tokens=task.max_new_tokens))
    return sum(len(g.tokens) for generations in drawn for g in generations)


def theirs(model: Any, workload: list[Request], task: Task) -> int:
    model.eval()
    longest = max(len(r.context) for r in workload)
    ids = torch.tensor([[0] * (longest - len(r.context)) + list(r.context) for r in workload])
    mask = torch.tensor([[0] * (longest - len(r.context)) + [1] * len(r.context) for r in workload])
    with torch.inference_mode():
        output = model.generate(
            ids, attention_mask=mask, do_sample=True, top_k=0, top_p=1.0, temperature=1.0, num_return_sequences=GROUP,
            max_new_tokens=task.max_new_tokens, eos_token_id=list(task.eos_ids) or None, pad_token_id=0,
        )  # fmt: skip
    new = output[:, longest:]
    if not task.eos_ids:
        return int(new.numel())
    ends = torch.isin(new, torch.tensor(task.eos_ids)).int()
    # Tokens up to and including the first EOS: those with no EOS before them.
    return int((ends.cumsum(1) - ends == 0).sum())


def tokens_per_second(run: Callable[[], int]) -> float:
    start = time.perf_counter()
    num_tokens = run()
    return num_tokens / (time.perf_counter() - start)


def compare(model: Any, task: Task, num_samples: int, repeats: int) -> tuple[float, float, float]:
    """Medians of ours, theirs, and their ratio within a repetition; a first repetition is a warm-up and not counted."""
    codec = Codec.of_tokenizer(byte_tokenizer())
    codec.eos_ids = task.eos_ids
    workload = requests(num_samples, model.config.vocab_size)
    pairs = []
    with Transformers().open(SamplerSite(LoadedModel(model, None, codec, torch.float32, {}), "cpu", 512)) as sampler:
        for _ in range(repeats + 1):
            mine = tokens_per_second(lambda: ours(sampler, workload, task))
            pairs.append((mine, tokens_per_second(lambda: theirs(model, workload, task))))
    pairs = pairs[1:]
    return median(a for a, _ in pairs), median(b for _, b in pairs), median(a / b for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--samples", type=int, nargs="+", default=[128, 2048], help=f"multiples of {GROUP}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'model':28}{'responses':28}{'samples':>8}{'ours tok/s':>12}{'generate':>12}{'ratio':>8}")
    for name, sizes in MODELS.items():
        model = build(sizes)
        for task in TASKS:
            for num_samples in arguments.samples:
                mine, other, ratio = compare(model, task, num_samples, arguments.repeats)
                print(f"{name:28}{task.name:28}{num_samples:8}{mine:12,.0f}{other:12,.0f}{ratio:8.2f}", flush=True)


if __name__ == "__main__":
    main()
