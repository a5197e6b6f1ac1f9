"""Verified steps made by hand for the engine's tests: random responses of ragged lengths, real trainers of tiny models."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from prerl_spec.engine.policy.packing import Pass, pack_shares
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.reference import Reference
from prerl_spec.engine.policy.rows import Arrangement
from prerl_spec.engine.policy.sharding import whole
from prerl_spec.engine.policy.teachers import NO_TEACHERS, Teachers
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.work_split import Division
from prerl_spec.engine.training.trainer import Trainer
from prerl_spec.engine.training.updater import Updater, UpdateRecord
from prerl_spec.needs import View
from prerl_spec.testing.tiny import Shape, tiny_loaded
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Group, Outcome, Prompt, Segment, Step, Verdict


def tiny_policy(shape: Shape = "qwen3", *, seed: int = 0) -> Policy:
    return Policy(tiny_loaded(shape, seed=seed), torch.device("cpu"))


def attempt(tokens: list[int], reward: float) -> Attempt:
    outcome = Outcome.RIGHT if reward >= 1 else Outcome.WRONG
    logps = tuple(-1.0 for _ in tokens)
    return Attempt((Segment(tuple(tokens), logps=logps),), "", "eos", Verdict(outcome, reward), reward)


def random_step(
    num_groups: int = 4, group_size: int = 4, *, seed: int = 0, questions: str = "What is {}?", longest: int = 30
) -> Step:
    """Groups with both right and wrong attempts; lengths from 1 token on. `questions` changes the prompts only."""
    generator = np.random.Generator(np.random.Philox(seed))
    groups = []
    for slot in range(num_groups):
        context = tuple(questions.format(slot).encode())
        rewards = [1.0, 0.0, *generator.integers(0, 2, size=group_size - 2).astype(float)]
        lengths = generator.integers(1, longest, size=group_size)
        attempts = tuple(
            attempt(generator.integers(0, 250, size=n).tolist(), r) for n, r in zip(lengths, rewards, strict=True)
        )
        groups.append(Group(slot, Prompt("train", slot, questions.format(slot), "1", context), attempts))
    return Step("prune", 1, 1, tuple(groups), 1.0, 64)


def with_rewards(step: Step, reward: float) -> Step:
    groups = tuple(replace(g, attempts=tuple(replace(a, reward=reward) for a in g.attempts)) for g in step.groups)
    return replace(step, groups=groups)


def make_trainer(
    policy: Policy,
    objective: Any,
    *,
    optimizer: Any = None,
    updates_per_batch: int = 1,
    tokens_per_pass: int = 256,
    ranks: Ranks | None = None,
    reference: Reference | None = None,
    teachers: Teachers = NO_TEACHERS,
) -> Trainer:
    from prerl_components.optimizers.adamw import Adamw

    ranks = ranks or Ranks.start()
    updater = Updater(optimizer or Adamw(lr=1e-3), policy.parameters(), ranks)
    return Trainer(
        policy, updater, objective, updates_per_batch, tokens_per_pass, ranks, reference, lambda *_: None, teachers
    )


def gradient_of(trainer: Trainer, step: Step) -> torch.Tensor:
    """The summed gradient of a step's first update, without applying it."""
    caught: list[torch.Tensor] = []

    class Caught(Exception):
        pass

    def catch() -> UpdateRecord:
        caught.append(torch.cat([whole(g).reshape(-1).clone() for g in trainer.updater.summed_gradients()]))
        trainer.updater.forget_gradients()
        raise Caught

    original, trainer.updater.apply = trainer.updater.apply, catch  # type: ignore[method-assign]
    with contextlib.suppress(Caught):
        trainer.train(step)
    trainer.updater.apply = original  # type: ignore[method-assign]
    return caught[0]


def pack(
    step: Step,
    samples_of_view: Mapping[View, Sequence[int]],
    codec: Codec,
    *,
    tokens_per_pass: int,
    arrangement: Arrangement = "flat",
    rank: int = 0,
    size: int = 1,
) -> list[Pass]:
    """The passes of one of `size` ranks that have a share each."""
    division = Division.by_rank(rank, size)
    shares = pack_shares(
        step, samples_of_view, codec, division, tokens_per_pass=tokens_per_pass, arrangement=arrangement
    )
    return shares[rank]
