"""Model FLOP utilisation (MFU) of the trainer alone: updates on packed rows, model of Qwen3-1.7B's shape, in bfloat16.

    python benchmarks/gpu/trainer_mfu.py [--tokens-per-pass 8192 16384 32768] [--peak-tflops 989]
    python benchmarks/gpu/trainer_mfu.py --tiny --cpu

Model FLOPs of an update, without recomputation:
    6·P·T  +  6·V·d·n  +  6·L·a·Σ len²
P weights of the blocks, T tokens of the forward pass, n of them trained (only those go through the head, V×d), L layers, a =
heads × head size, len the tokens of each sample (causal attention: half the square, forward 4·a, backward twice that).
Divided by the seconds of a whole update (packing, forward, backward, clipping, optimizer step) and by the GPU's stated peak.
Written for one GPU and not run on one yet; `--tiny --cpu` runs the same script with a model of two layers.
"""

import argparse
import os
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from facts import machine, peak_flops, show
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.optimizers.adamw import Adamw
from transformers import Qwen3Config, Qwen3ForCausalLM

from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.trainer import Trainer
from prerl_spec.engine.training.updater import Updater
from prerl_spec.registry.kinds.model import LoadedModel
from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Group, Prompt, Segment, Step

QWEN3_17B: dict[str, Any] = {
    "hidden_size": 2048, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
    "intermediate_size": 6144, "vocab_size": 151936,
}  # fmt: skip
TINY: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
    "intermediate_size": 64, "vocab_size": 320,
}  # fmt: skip

HEADER = ("tokens/pass", "update s", "tokens/s", "trained tokens/s", "TFLOP/s", "MFU %", "peak GiB")


@dataclass(frozen=True)
class Load:
    """Samples of an update: questions of `context` tokens, responses of 0.5 to 1.5 times `response` tokens."""

    samples: int
    context: int
    response: int

    def step(self, vocabulary: int) -> Step:
        """A step of random tokens, the same for each call."""
        random = np.random.Generator(np.random.Philox(0))
        groups = []
        for slot in range(self.samples):
            length = int(random.integers(self.response // 2, self.response + self.response // 2))
            context, tokens = (tuple(random.integers(0, vocabulary, n).tolist()) for n in (self.context, length))
            attempt = Attempt((Segment(tokens),), "", "document")
            groups.append(Group(slot, Prompt("random", slot, "", None, context), (attempt,)))
        return Step("mfu", 1, 1, tuple(groups))


def build(shape: dict[str, Any], device: torch.device, attention: str) -> Policy:
    """A policy with random float32 weights and forward passes in bfloat16."""
    torch.manual_seed(0)
    settings = {
        **shape,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
        "attn_implementation": attention,
    }
    config = Qwen3Config(**settings)
    with device:
        module = Qwen3ForCausalLM(config)
    tokenizer = byte_tokenizer()
    loaded = LoadedModel(module, tokenizer, Codec.of_tokenizer(tokenizer), torch.bfloat16, {})
    return Policy(loaded, device)


def trainer_of(policy: Policy, tokens_per_pass: int) -> Trainer:
    """A trainer with one update per step, on every token of the responses."""
    ranks = Ranks.start()
    updater = Updater(Adamw(lr=1e-6), policy.parameters(), ranks)
    return Trainer(policy, updater, NextToken(), 1, tokens_per_pass, ranks, None, lambda *_: None)


def model_flops(policy: Policy, step: Step) -> float:
    """Model FLOPs of one update, by the formula above."""
    config = policy.module.config
    lengths = np.array([len(g.prompt.context) + len(g.attempts[0].tokens) - 1 for g in step.groups], dtype=np.float64)
    embedding = config.vocab_size * config.hidden_size
    blocks = sum(p.numel() for _, p in policy.parameters()) - embedding
    attention = config.num_hidden_layers * config.num_attention_heads * config.head_dim
    return float(6 * (blocks * lengths.sum() + embedding * step.tokens.num_tokens + attention * (lengths**2).sum()))


def seconds_of_update(trainer: Trainer, step: Step, repeats: int) -> float:
    """Median seconds; the first update, which allocates the optimizer's moments and selects kernels, is not counted."""
    device = trainer.policy.device
    durations = []
    for _ in range(repeats + 1):
        _wait(device)
        begin = time.perf_counter()
        trainer.train(step)
        _wait(device)
        durations.append(time.perf_counter() - begin)
    return median(durations[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(policy: Policy, step: Step, tokens_per_pass: int, repeats: int, peak: float | None) -> tuple[object, ...]:
    """One row of the table."""
    trainer = trainer_of(policy, tokens_per_pass)
    memory = None
    if policy.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(policy.device)
    seconds = seconds_of_update(trainer, step, repeats)
    if policy.device.type == "cuda":
        memory = torch.cuda.max_memory_reserved(policy.device) / 2**30
    tokens = sum(len(g.prompt.context) + len(g.attempts[0].tokens) - 1 for g in step.groups)
    rate = model_flops(policy, step) / seconds
    mfu = None if peak is None else 100 * rate / peak
    trained = step.tokens.num_tokens / seconds
    return tokens_per_pass, seconds, tokens / seconds, trained, rate / 1e12, mfu, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a model of two layers, a few samples")
    parser.add_argument("--cpu", action="store_true", help="run on the CPU even if a GPU is available")
    parser.add_argument("--tokens-per-pass", type=int, nargs="+", default=[8192, 16384, 32768])
    parser.add_argument("--samples", type=int, default=128, help="samples per update")
    parser.add_argument("--context", type=int, default=256, help="tokens of a question")
    parser.add_argument("--response", type=int, default=1024, help="mean tokens of a response")
    parser.add_argument("--attention", default="sdpa", help="attention implementation, such as flash_attention_2")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--peak-tflops", type=float, help="peak of the GPU in dense bfloat16; default: from its data sheet"
    )
    arguments = parser.parse_args()
    if arguments.cpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif not torch.cuda.is_available():
        parser.error("no GPU available; use --tiny --cpu to test the script")
    device = torch.device("cpu" if arguments.cpu else "cuda")
    peak = 1e12 * arguments.peak_tflops if arguments.peak_tflops else peak_flops(device)
    load = Load(6, 5, 20) if arguments.tiny else Load(arguments.samples, arguments.context, arguments.response)
    shape = TINY if arguments.tiny else QWEN3_17B
    policy = build(shape, device, arguments.attention)
    step = load.step(policy.vocab_size)
    budgets = [64, 128] if arguments.tiny else arguments.tokens_per_pass
    rows = [measure(policy, step, budget, arguments.repeats, peak) for budget in budgets]
    settings = {
        **vars(arguments),
        "model": shape,
        "tokens_per_pass": budgets,
        "samples": load.samples,
        "context": load.context,
        "response": load.response,
    }
    parameters = sum(p.numel() for _, p in policy.parameters())
    facts = {
        **machine(device),
        "peak_flops": peak,
        "parameters": parameters,
        "rows": policy.arrangement,
        "settings": settings,
    }
    show(facts, HEADER, rows)


if __name__ == "__main__":
    main()
