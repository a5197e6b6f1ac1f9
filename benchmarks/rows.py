"""What laying samples out in rows costs: a GRPO update's forwards and backwards in each arrangement, one thread.

    OMP_NUM_THREADS=1 python -m benchmarks.rows [--rounds 5] [--vocabulary 51] [--cases 16+64 128+16 ...]

An update has 8 prompts x 8 responses, every one with a weight, and a model of Qwen3's shape (hidden size 128, 4 layers). A case
is `prompt+response` tokens: "16+64" a fixed length, "16+8..120" uniform between two. Columns: `alone`, one sample a forward;
`padded`, a row for each sample; `flat`, one flat row with every prompt in front of every response; `shared`, a group's prompt
once where that pays, which is what a run does. `bare` is forward and backward by the model itself, padded rows of 8 samples
by falling length, cross-entropy of the responses. All are timed in turn in every round: median CPU seconds [least, most].
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

import numpy as np
import torch
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.optimizers.adamw import Adamw
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, Qwen3Config

from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.rows import Arrangement
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.trainer import Trainer
from prerl_spec.engine.training.updater import Updater
from prerl_spec.registry.kinds.model import LoadedModel
from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Group, Outcome, Prompt, Segment, Step, Verdict

GROUPS, GROUP = 8, 8
TOKENS_PER_PASS = 1024
CASES = ("16+64", "16+8..120", "16+16", "16+256", "128+16", "128+64", "512+16", "512+64")
NEVER = 1 << 30
"""More tokens than any shared prompt saves."""


def policy_of(vocabulary: int) -> Policy:
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        intermediate_size=384,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    untyped: Any = AutoModelForCausalLM
    module, tokenizer = untyped.from_config(config, dtype=torch.float32), byte_tokenizer()
    return Policy(LoadedModel(module, tokenizer, Codec.of_tokenizer(tokenizer), torch.float32, {}), torch.device("cpu"))


def step_of(case: str, vocabulary: int) -> Step:
    """Every second response is right."""
    random = np.random.default_rng(0)
    prompt, response = case.split("+")
    least, _, most = response.partition("..")
    groups = []
    for slot in range(GROUPS):
        attempts = []
        for number in range(GROUP):
            length = int(random.integers(int(least), int(most or least) + 1))
            reward = float(number % 2)
            segment = Segment(tuple(random.integers(0, vocabulary, length).tolist()), logps=(-1.0,) * length)
            verdict = Verdict(Outcome.RIGHT if reward else Outcome.WRONG, reward)
            attempts.append(Attempt((segment,), "", "eos", verdict, reward))
        context = tuple(random.integers(0, vocabulary, int(prompt)).tolist())
        groups.append(Group(slot, Prompt("train", slot, "", "", context), tuple(attempts)))
    return Step("rows", 1, 1, tuple(groups))


def ours(policy: Policy, step: Step, arrangement: Arrangement, shared_tokens: int) -> Callable[[], object]:
    """A whole update, whose learning rate is too small to change the model."""
    ranks = Ranks.start()
    updater = Updater(Adamw(lr=1e-9), policy.parameters(), ranks)
    trainer = Trainer(policy, updater, Grpo(), 1, TOKENS_PER_PASS, ranks, None, lambda *_: None)

    def update() -> None:
        policy.arrangement = arrangement
        with mock.patch("prerl_spec.compiler.estimates.shared_prompts.SHARED_TOKENS", shared_tokens):
            trainer.train(step)

    return update


def bare(policy: Policy, step: Step) -> Callable[[], object]:
    texts = sorted(((g.prompt.context, a.tokens) for g in step.groups for a in g.attempts), key=lambda t: -len(t[1]))

    def update() -> None:
        for first in range(0, len(texts), GROUP):
            some = texts[first : first + GROUP]
            width = len(some[0][0]) + len(some[0][1]) - 1
            id_BT = torch.zeros(len(some), width, dtype=torch.long)
            at: list[int] = []
            for row, (context, tokens) in enumerate(some):
                ids = torch.tensor([*context, *tokens])
                id_BT[row, : len(ids) - 1] = ids[:-1]
                at += range(row * width + len(context) - 1, row * width + len(ids) - 1)
            hidden = policy.module.model(input_ids=id_BT, use_cache=False).last_hidden_state.flatten(0, 1)[at]
            target = torch.tensor([t for _, tokens in some for t in tokens])
            torch.autograd.backward(cross_entropy(policy.module.lm_head(hidden), target, reduction="sum"))
        policy.module.zero_grad()

    return update


def seconds(items: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in items}
    for number in range(rounds + 1):
        for name, item in items.items():
            begun = time.process_time()
            item()
            # The first round selects kernels and allocates.
            found[name] += [time.process_time() - begun] if number else []
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--vocabulary", type=int, default=51)
    parser.add_argument("--cases", nargs="+", default=CASES)
    given = parser.parse_args()
    policy = policy_of(given.vocabulary)
    for case in given.cases:
        step = step_of(case, given.vocabulary)
        items = {
            "bare": bare(policy, step),
            "alone": ours(policy, step, "alone", NEVER),
            "padded": ours(policy, step, "padded", NEVER),
            "flat": ours(policy, step, "flat", NEVER),
            "shared": ours(policy, step, "flat", 8),
        }
        found = seconds(items, given.rounds)
        columns = (f"{n} {statistics.median(t):.3f} [{min(t):.3f}, {max(t):.3f}]" for n, t in found.items())
        print(f"{case:>10}  " + "  ".join(columns), flush=True)


if __name__ == "__main__":
    main()
