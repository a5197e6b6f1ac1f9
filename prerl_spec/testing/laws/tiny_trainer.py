"""A trainer of the tiny model, for laws of what looks at updates: a likelihood objective, plain gradient descent."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.trainer import Trainer
from prerl_spec.engine.training.updater import Updater
from prerl_spec.needs import Credit, Need
from prerl_spec.registry.component import Component
from prerl_spec.registry.objective_base import OnePartObjective
from prerl_spec.testing.tiny import tiny_loaded
from prerl_spec.types import Array, Step, Tokens
from prerl_spec.views import Conditional

_LOGP = Need(Conditional())


class _Likelihood(OnePartObjective):
    """−log π(y_t | x, y_<t), averaged over the tokens of scored responses."""

    def needs(self) -> frozenset[Need]:
        return frozenset({_LOGP})

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        scored_N = ~np.isnan(step.reward_S)[step.tokens.sample_N]
        return Credit(np.ones(len(scored_N)), scored_N / max(1, scored_N.sum()), "scored tokens")

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        return -logp[_LOGP]


class _Descent(Component):
    """Plain gradient descent."""

    kind = "optimizer"
    lr: ClassVar[float] = 0.1
    max_grad_norm: ClassVar[float] = 1.0

    def build(self, named_parameters: list[tuple[str, torch.nn.Parameter]]) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD([p for _, p in named_parameters], lr=self.lr)]

    def lr_factor(self, step: int, num_steps: int | None) -> float:
        return 1.0


def tiny_trainer() -> Trainer:
    """A fresh trainer, the same every time."""
    policy, ranks = Policy(tiny_loaded(), torch.device("cpu")), Ranks.start()
    optimizer: Any = _Descent()
    updater = Updater(optimizer, policy.parameters(), ranks)
    return Trainer(policy, updater, _Likelihood(), 1, 256, ranks, None, lambda *_: None)
