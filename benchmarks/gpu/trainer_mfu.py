"""Model FLOP utilisation (MFU) of the trainer alone: GRPO updates on packed rows, Qwen3's shapes, in bfloat16.

    python benchmarks/gpu/trainer_mfu.py [--shape 1.7B] [--tokens-per-pass 2048 16384] [--peak-tflops 989] [--recompute]
    python benchmarks/gpu/trainer_mfu.py --tiny --cpu

Model FLOPs of an update, without recomputation:
    6·P·T  +  6·V·d·n  +  6·L·a·Σ len²
P weights of the blocks, T tokens of the forward pass, n of them trained (only those go through the head, V×d), L layers, a =
heads × head size, len the tokens of each sample (causal attention: half the square, forward 4·a, backward twice that). A
group's question is counted once in both sums, as in a flat row that its samples share, even where passes repeat it: what is
computed twice is no work.
Divided by the seconds of a whole update (credit, packing, forward, backward, clipping, optimizer step) and by the GPU's
stated peak. Written for one GPU and not run on one yet; `--tiny --cpu` runs the same script with a model of two layers.
"""

import argparse
import time
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from building import add_trial, device_of, peak_gib, random_model, wait
from facts import machine, peak_flops, show
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.optimizers.adamw import Adamw
from shapes import SHAPES, TINY

from prerl_spec.engine.policy.decoder_layers import recompute_activations
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.trainer import Trainer
from prerl_spec.engine.training.updater import Updater
from prerl_spec.testing.steps import made_attempt
from prerl_spec.types import Group, Prompt, Step

GROUP = 8
HEADER = ("tokens/pass", "update s", "tokens/s", "trained tokens/s", "TFLOP/s", "MFU %", "peak GiB")


@dataclass(frozen=True)
class Load:
    """Samples of an update, in groups of 8 that are half right: questions of `context` tokens, responses of 0.5 to 1.5 times
    `response` tokens."""

    samples: int
    context: int
    response: int

    def step(self, vocabulary: int) -> Step:
        """A step of random tokens, the same for each call."""
        random = np.random.Generator(np.random.Philox(0))

        def tokens(length: int) -> tuple[int, ...]:
            return tuple(random.integers(0, vocabulary, length).tolist())

        groups = []
        for slot, first in enumerate(range(0, self.samples, GROUP)):
            lengths = random.integers(self.response // 2, 3 * self.response // 2, min(GROUP, self.samples - first))
            attempts = [made_attempt(float(i % 2), tokens(n)) for i, n in enumerate(lengths.tolist())]
            prompt = Prompt("random", slot, "", "", tokens(self.context))
            groups.append(Group(slot, prompt, tuple(attempts), max_new_tokens=2 * self.response))
        return Step("mfu", 1, 1, tuple(groups), max_new_tokens=2 * self.response)


def trainer_of(policy: Policy, tokens_per_pass: int) -> Trainer:
    """A trainer with one update per step, on every token of the responses."""
    ranks = Ranks.start()
    updater = Updater(Adamw(lr=1e-6), policy.parameters(), ranks)
    return Trainer(policy, updater, Grpo(aggregation="token_mean"), 1, tokens_per_pass, ranks, None, lambda *_: None)


def tokens_and_squares(step: Step) -> tuple[int, float]:
    """T and Σ len² of the formula."""
    tokens, squares = 0, 0.0
    for group in step.groups:
        context = len(group.prompt.context)
        lengths = [context + len(attempt.tokens) - 1 for attempt in group.attempts]
        repeated = len(lengths) - 1
        tokens += sum(lengths) - repeated * context
        squares += sum(length**2 for length in lengths) - repeated * context**2
    return tokens, squares


def model_flops(policy: Policy, step: Step) -> float:
    """Model FLOPs of one update, by the formula above."""
    config = policy.module.config
    tokens, squares = tokens_and_squares(step)
    embedding = config.vocab_size * config.hidden_size
    blocks = sum(p.numel() for _, p in policy.parameters()) - embedding
    attention = config.num_hidden_layers * config.num_attention_heads * config.head_dim
    return float(6 * (blocks * tokens + embedding * step.tokens.num_tokens + attention * squares))


def seconds_of_update(trainer: Trainer, step: Step, repeats: int) -> float:
    """Median seconds; the first update, which allocates the optimizer's moments and selects kernels, is not counted."""
    device = trainer.policy.device
    durations = []
    for _ in range(repeats + 1):
        wait(device)
        begin = time.perf_counter()
        trainer.train(step)
        wait(device)
        durations.append(time.perf_counter() - begin)
    return median(durations[1:])


def measure(policy: Policy, step: Step, tokens_per_pass: int, repeats: int, peak: float | None) -> tuple[object, ...]:
    """One row of the table."""
    trainer = trainer_of(policy, tokens_per_pass)
    if policy.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(policy.device)
    seconds = seconds_of_update(trainer, step, repeats)
    tokens, _ = tokens_and_squares(step)
    rate = model_flops(policy, step) / seconds
    mfu = None if peak is None else 100 * rate / peak
    trained = step.tokens.num_tokens / seconds
    return tokens_per_pass, seconds, tokens / seconds, trained, rate / 1e12, mfu, peak_gib(policy.device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_trial(parser)
    parser.add_argument("--shape", choices=SHAPES, default="1.7B")
    parser.add_argument("--tokens-per-pass", type=int, nargs="+", default=[2048, 16384])
    parser.add_argument("--samples", type=int, default=64, help="samples per update")
    parser.add_argument("--context", type=int, default=256, help="tokens of a question")
    parser.add_argument("--response", type=int, default=1024, help="mean tokens of a response")
    parser.add_argument("--attention", default="sdpa", help="attention implementation, such as flash_attention_2")
    parser.add_argument("--recompute", action="store_true", help="activation checkpointing")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--peak-tflops", type=float, help="peak of the GPU in dense bfloat16; default: from its data sheet"
    )
    arguments = parser.parse_args()
    device = device_of(parser, arguments)
    peak = 1e12 * arguments.peak_tflops if arguments.peak_tflops else peak_flops(device)
    load = Load(6, 5, 20) if arguments.tiny else Load(arguments.samples, arguments.context, arguments.response)
    shape = TINY if arguments.tiny else SHAPES[arguments.shape]
    policy = Policy(random_model(shape, device, arguments.attention), device)
    if arguments.recompute:
        recompute_activations(policy.module)
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
