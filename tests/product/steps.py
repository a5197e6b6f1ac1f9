"""A step that every part can act on: mixed groups, a lone right answer, unparsable and unscored attempts."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from prerl_components.optimizers.adamw import Adamw

from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.reference import Reference
from prerl_spec.engine.policy.sharding import whole
from prerl_spec.engine.policy.teachers import NO_TEACHERS, Teachers
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.trainer import Trained, Trainer
from prerl_spec.engine.training.updater import Updater
from prerl_spec.testing.steps import Result, made_step
from prerl_spec.types import Attempt, Outcome, Segment, Step
from tests.product.by_hand import CONDITIONAL, scored

RESULTS: Sequence[Sequence[Result]] = [
    [1.0, 0.0, Outcome.UNPARSABLE],
    [1.0, 1.0, 0.0],
    [Outcome.TIMEOUT, 0.0, 1.0],
    [0.0, 0.0, 1.0],
]


RIGHT, WRONG = (100, 101), (110, 112)
"""Ranges of token ids, of right and of wrong responses."""


def step_near(policy: Policy, *, gap: float = 0.7) -> Step:
    """Random responses whose recorded log-probabilities lie near the policy's: normal, std `gap` nats."""
    return _with_recorded(made_step(RESULTS, lengths=[3, 8, 5, 1, 4, 6, 2, 7, 3, 5, 4, 8]), policy, gap)


def learnable_step(policy: Policy, *, gap: float = 1.5) -> Step:
    """Eight groups whose right responses have a token of their own: what one update teaches moves those of the next."""
    random = np.random.default_rng(5)

    def ids(attempt: Attempt) -> tuple[int, ...]:
        return tuple(random.integers(*(RIGHT if attempt.reward else WRONG), size=len(attempt.tokens)).tolist())

    step = made_step([(1.0, 0.0, 1.0)] * 8, lengths=[6, 4, 3] * 8)
    groups = tuple(
        replace(g, attempts=tuple(replace(a, segments=(Segment(ids(a)),)) for a in g.attempts)) for g in step.groups
    )
    return _with_recorded(replace(step, groups=groups), policy, gap)


def _with_recorded(step: Step, policy: Policy, gap: float) -> Step:
    with torch.no_grad():
        logps, _ = scored(policy, step, CONDITIONAL, range(len(step.samples)))
    random = np.random.default_rng(3)
    recorded = iter([tuple((v.double().numpy() + random.normal(0, gap, len(v))).tolist()) for v in logps])
    groups = tuple(
        replace(g, attempts=tuple(replace(a, segments=(Segment(a.tokens, logps=next(recorded)),)) for a in g.attempts))
        for g in step.groups
    )
    return replace(step, groups=groups)


class Recording(Updater):
    """Keeps the summed gradient of every update, and calls back before it is applied."""

    def __init__(self, policy: Policy, ranks: Ranks, before: Callable[[int], None], optimizer: Adamw) -> None:
        super().__init__(optimizer, policy.parameters(), ranks)
        self.gradients: list[torch.Tensor] = []
        self._before = before

    def summed_gradients(self) -> list[torch.Tensor]:
        found = super().summed_gradients()
        self.gradients.append(torch.cat([whole(g).reshape(-1).clone() for g in found]))
        self._before(len(self.gradients) - 1)
        return found


def trained(
    policy: Policy,
    objective: Any,
    step: Step,
    *,
    updates: int,
    optimizer: Adamw,
    tokens_per_pass: int = 256,
    ranks: Ranks | None = None,
    before: Callable[[int], None] = lambda update: None,
    reference: Reference | None = None,
    teachers: Teachers = NO_TEACHERS,
) -> tuple[Trained, list[torch.Tensor]]:
    """Trains on a step; the result, and the summed gradient of each applied update."""
    ranks = ranks or Ranks.start()
    updater = Recording(policy, ranks, before, optimizer)
    trainer = Trainer(policy, updater, objective, updates, tokens_per_pass, ranks, reference, lambda *_: None, teachers)
    return trainer.train(step), updater.gradients
