"""What each view, surrogate, selection, correction, token loss and probe costs relative to a plain GRPO step.

    OMP_NUM_THREADS=1 python -m benchmarks.objective_cost [--lengths 64 256 1024] [--rounds 5]

A step is credit, forwards without gradient, passes and updates of 16 responses by the quickstart's model (0.3 M parameters)
in rows of a given length; sampling and verification are the same for all and left out. Every round runs plain GRPO and then
each item; the table has the median over rounds of an item's seconds ÷ GRPO's in the same round. With two updates a batch
old log-probabilities cost a forward, which GRPO pays as well: `2 updates` is relative to GRPO with two.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from prerl_components.advantages.group_std import GroupStd
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.weighted_sum import WeightedSum
from prerl_components.optimizers.adamw import Adamw
from transformers import AutoModelForCausalLM, Qwen3Config

from prerl_spec.compiler.graph import Named
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.reference import Reference, reference_of
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.trainer import Trainer
from prerl_spec.engine.training.updater import Updater
from prerl_spec.engine.training.watching import Watching
from prerl_spec.registry.kinds.model import LoadedModel
from prerl_spec.registry.kinds.watching import UpdateProbe
from prerl_spec.testing.steps import made_step
from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.text import Codec
from prerl_spec.types import Segment, Step
from tests.product.axes import made
from tests.product.built_ins import built_ins, examples

CONTEXT = 16
GROUPS, GROUP = 2, 8
TOKENS_PER_PASS = 2048
Item = Callable[[], None]


def policy_of(longest: int) -> Policy:
    """The quickstart's shape with random weights and a vocabulary of bytes."""
    tokenizer = byte_tokenizer()
    config = Qwen3Config(
        vocab_size=259,
        hidden_size=96,
        num_hidden_layers=3,
        num_attention_heads=3,
        num_key_value_heads=1,
        head_dim=32,
        intermediate_size=256,
        max_position_embeddings=2 * longest,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    untyped: Any = AutoModelForCausalLM
    module = untyped.from_config(config, dtype=torch.float32)
    loaded = LoadedModel(module, tokenizer, Codec.of_tokenizer(tokenizer), torch.float32, {"name": "cost"})
    return Policy(loaded, torch.device("cpu"))


def step_of(length: int) -> Step:
    """Half right, half wrong; every response fills a row of this length."""
    random = np.random.default_rng(0)
    step = made_step([[1.0, 0.0] * (GROUP // 2)] * GROUPS, lengths=[length - CONTEXT] * (GROUPS * GROUP))
    context = tuple(range(CONTEXT))

    def recorded(ids: tuple[int, ...]) -> Segment:
        return Segment(ids, logps=tuple(random.normal(-5.5, 0.1, len(ids)).tolist()))

    groups = tuple(
        replace(
            group,
            prompt=replace(group.prompt, context=context),
            attempts=tuple(replace(a, segments=(recorded(a.tokens),)) for a in group.attempts),
        )
        for group in step.groups
    )
    return replace(step, groups=groups, max_new_tokens=length)


class Bench:
    """Timed steps of one policy, whose learning rate is too small to change what they cost."""

    def __init__(self, length: int) -> None:
        self.policy, self.step = policy_of(length), step_of(length)
        self.reference: Reference = reference_of(self.policy)

    def trainer(self, objective: Any, updates: int) -> Trainer:
        ranks = Ranks.start()
        updater = Updater(Adamw(lr=1e-9), self.policy.parameters(), ranks)
        return Trainer(
            self.policy, updater, objective, updates, TOKENS_PER_PASS, ranks, self.reference, lambda *_: None
        )

    def objective(self, objective: Any, updates: int = 1) -> Item:
        trainer = self.trainer(objective, updates)
        return lambda: _ignored(trainer.train(self.step))

    def probe(self, use: str, probe: Any) -> Item:
        """A plain GRPO step with the probe at work."""
        trainer, due = self.trainer(Grpo(), 1), probe.model_copy(update={"every": 1})

        def timed() -> None:
            watching = Watching.begin([Named(use, due)], self.step, trainer) if isinstance(due, UpdateProbe) else None
            trainer.train(self.step)
            if watching is not None:
                watching.end()
            due.measure(self.step)

        return timed


def items(bench: Bench) -> Iterator[tuple[str, str, Item]]:
    """(group, name, what is timed): everything in the registry that can stand in a GRPO step."""

    def of(updates: int = 1, **parts: Any) -> Item:
        return bench.objective(PolicyGradient(advantage=GroupStd(), **parts), updates)

    for use in built_ins("view"):
        yield "view", use, of(view=made("view", use))
    for use in built_ins("surrogate"):
        yield "surrogate", use, of(surrogate=made("surrogate", use))
    for use in built_ins("surrogate"):
        yield "surrogate, 2 updates", use, of(2, surrogate=made("surrogate", use))
    for use in built_ins("selection"):
        yield "selection", use, of(selection=(made("selection", use),))
    for use in built_ins("correction"):
        yield "correction", use, of(correction=made("correction", use))
    for use, settings in examples("objective").items():
        cls: Any = built_ins("objective")[use]
        if ".token_losses." in cls.__module__ and not settings and cls().uses_rollouts:
            yield "grpo and", use, bench.objective(WeightedSum(terms=(Grpo(), cls())))
    for use, settings in examples("probe").items():
        yield "probe", use, bench.probe(use, built_ins("probe")[use].model_validate(settings))


def ratios(length: int, rounds: int) -> Mapping[tuple[str, str], float]:
    """Median seconds of each item relative to plain GRPO; of that itself, seconds."""
    bench = Bench(length)
    plain = {updates: bench.objective(Grpo(), updates) for updates in (1, 2)}
    timed = list(items(bench))
    for item in (*plain.values(), *(item for _, _, item in timed)):
        item()
    base: list[float] = []
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for group, name, item in timed:
            # Each beside a GRPO step of its own: what else the machine does changes within a round.
            beside = seconds(plain[2 if group.endswith("2 updates") else 1])
            found.setdefault((group, name), []).append(seconds(item) / beside)
            base += [] if group.endswith("2 updates") else [beside]
    medians = {key: statistics.median(values) for key, values in found.items()}
    return {("seconds", "grpo"): statistics.median(base), **medians}


def seconds(item: Item) -> float:
    begun = time.perf_counter()
    item()
    return time.perf_counter() - begun


def _ignored(result: object) -> None: ...


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--lengths", type=int, nargs="+", default=[64, 256, 1024])
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    columns = {length: ratios(length, given.rounds) for length in given.lengths}
    print(f"| {'part':22} | {'name':20} | " + " | ".join(f"{length:>6}" for length in columns) + " |")
    print(f"| {'-' * 22} | {'-' * 20} | " + " | ".join("-----:" for _ in columns) + " |")
    for group, name in next(iter(columns.values())):
        values = " | ".join(f"{column[group, name]:6.3f}" for column in columns.values())
        print(f"| {group:22} | {name:20} | {values} |")


if __name__ == "__main__":
    main()
