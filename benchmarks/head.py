"""What log-probabilities from hidden states cost, forward and backward, beside F.cross_entropy on all logits.

    OMP_NUM_THREADS=1 python -m benchmarks.head [--vocabularies 51 32768 151936] [--tokens 512 4096] [--rounds 5]

CPU seconds of one thread, and MiB by which a process of its own grows, for a head of
`--width` inputs. `tiles` computes tiles of 4 Mi logits under activation checkpointing; `cross-entropy` holds all logits at
once. The ways alternate in every round; the table has medians. The last column is the largest relative difference of the
gradients (hidden states, head) from those of `tiles`.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from prerl_spec.engine.policy.logprobs import chosen_logprobs
from prerl_spec.engine.processes.peak_memory import peak_bytes, reset_peak, resident_bytes

TILE = 1 << 22


class Case(NamedTuple):
    """Tokens with their hidden states, the head, and what the loss multiplies log-probabilities with."""

    hidden_nd: Tensor
    target_n: Tensor
    weight_n: Tensor
    head: nn.Linear


def made(vocabulary: int, tokens: int, width: int) -> Case:
    generator = torch.Generator().manual_seed(0)
    head = nn.Linear(width, vocabulary, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.randn(vocabulary, width, generator=generator) * 0.1)
    return Case(
        torch.randn(tokens, width, generator=generator),
        torch.randint(0, vocabulary, (tokens,), generator=generator),
        torch.randn(tokens, generator=generator),
        head,
    )


def ours(case: Case, hidden_nd: Tensor) -> Tensor:
    vocabulary = case.head.out_features
    return chosen_logprobs(hidden_nd, case.target_n, case.head, vocab_size=vocabulary, temperature=1.0).logp_n


def cross_entropy(case: Case, hidden_nd: Tensor) -> Tensor:
    return -nn.functional.cross_entropy(case.head(hidden_nd).float(), case.target_n, reduction="none")


def tiles(case: Case, hidden_nd: Tensor) -> Tensor:
    def tile(h: Tensor, y: Tensor) -> Tensor:
        logits = case.head(h).float()
        chosen: Tensor = logits.gather(-1, y[:, None]).squeeze(-1) - logits.logsumexp(-1)
        return chosen

    size = max(1, TILE // case.head.out_features)
    parts = zip(hidden_nd.split(size), case.target_n.split(size), strict=True)
    if len(hidden_nd) <= size:
        return tile(hidden_nd, case.target_n)
    return torch.cat([checkpoint(tile, h, y, use_reentrant=False) for h, y in parts])


WAYS: dict[str, Callable[[Case, Tensor], Tensor]] = {"cross-entropy": cross_entropy, "tiles": tiles, "ours": ours}


def run(way: str, case: Case, dtype: torch.dtype) -> tuple[float, float, list[Tensor]]:
    """CPU seconds forward and backward, and the gradients."""
    hidden_nd = case.hidden_nd.clone().requires_grad_()
    case.head.weight.grad = None
    begin = time.process_time()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        logp_n = WAYS[way](case, hidden_nd)
    middle = time.process_time()
    (case.weight_n * logp_n).sum().backward()
    end = time.process_time()
    assert hidden_nd.grad is not None
    assert case.head.weight.grad is not None
    return middle - begin, end - middle, [hidden_nd.grad, case.head.weight.grad]


def peak_growth(way: str, vocabulary: int, tokens: int, width: int, dtype: str) -> float:
    """MiB by which a fresh process grows in one forward and backward pass."""
    arguments = ["--peak-of", way, "--vocabularies", vocabulary, "--tokens", tokens, "--width", width, "--dtype", dtype]
    command = [sys.executable, "-m", "benchmarks.head", *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[51, 32_768, 151_936])
    parser.add_argument("--tokens", type=int, nargs="+", default=[512, 4096])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="autocast's")
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=list(WAYS))
    parser.add_argument("--peak-of", choices=tuple(WAYS), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    dtype = getattr(torch, chosen.dtype)
    if chosen.peak_of:
        run(chosen.peak_of, made(64, 64, chosen.width), dtype)  # libraries load at their first use
        case = made(chosen.vocabularies[0], chosen.tokens[0], chosen.width)
        reset_peak(torch.device("cpu"))
        before = resident_bytes()
        run(chosen.peak_of, case, dtype)
        print((peak_bytes(torch.device("cpu")) - before) / 2**20)
        return
    print("| vocabulary | tokens | way | forward s | backward s | both s | MiB | gradients differ by |")
    print("|---|---|---|---|---|---|---|---|")
    for vocabulary in chosen.vocabularies:
        for tokens in chosen.tokens:
            case = made(vocabulary, tokens, chosen.width)
            reference = [g.clone() for g in run("tiles", case, dtype)[2]]
            seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in chosen.ways}
            differ = {}
            for _ in range(chosen.rounds):
                for way in chosen.ways:
                    forward, backward, gradients = run(way, case, dtype)
                    seconds[way].append((forward, backward))
                    pairs = zip(gradients, reference, strict=True)
                    differ[way] = max(float((g - r).norm() / r.norm()) for g, r in pairs)
            del reference
            for way, found in seconds.items():
                halves = [statistics.median(half) for half in zip(*found, strict=True)]
                both = statistics.median(map(sum, found))
                mib = peak_growth(way, vocabulary, tokens, chosen.width, chosen.dtype)
                print(
                    f"| {vocabulary:,} | {tokens:,} | {way} | {halves[0]:.4f} | {halves[1]:.4f} | {both:.4f} | {mib:.0f} "
                    f"| {differ[way]:.1e} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
