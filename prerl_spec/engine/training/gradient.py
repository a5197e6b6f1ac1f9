"""The gradient of any objective on any samples of a step: computed like an update's, never applied."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.engine.policy.parameter_layers import parameter_layers
from prerl_spec.engine.policy.sharding import is_sharded, mine
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.gradient_free_logprobs import GradientFree
from prerl_spec.engine.training.measured import Measured
from prerl_spec.engine.training.minibatch import Minibatch, PartCredit, samples_to_score, split_batch
from prerl_spec.engine.training.trainer import Trainer
from prerl_spec.errors import RunFailed
from prerl_spec.needs import Need, Teacher
from prerl_spec.registry.component_state import States, states_of_parts
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.watching import GradientView
from prerl_spec.types import Step

COUNTED_AS = "gradient"
"""The label of its forwards in `Policy.forwards`, as the plan has it."""


class Gradient:
    """Implements `registry.kinds.GradientView`: one tensor per trained parameter, summed over ranks, or this rank's shard
    of the sum."""

    def __init__(self, tensors: Sequence[Tensor], layers: Sequence[str], ranks: Ranks) -> None:
        self._tensors = [mine(t) for t in tensors]
        self._layers = list(layers)
        self._names = list(dict.fromkeys(layers))
        self._ranks = ranks
        self._sharded = any(is_sharded(t) for t in tensors)

    def dots(self, other: GradientView) -> Mapping[str, float]:
        assert isinstance(other, Gradient), "gradients of one policy"
        found = torch.zeros(len(self._names), dtype=torch.float64, device=self._tensors[0].device)
        for layer, ours, theirs in zip(self._layers, self._tensors, other._tensors, strict=True):
            found[self._names.index(layer)] += (ours * theirs).sum(dtype=torch.float64)
        if self._sharded:
            found = self._ranks.sum(found)
        return dict(zip(self._names, found.tolist(), strict=True))

    def dot(self, other: GradientView) -> float:
        return float(sum(self.dots(other).values()))

    def norm(self) -> float:
        return math.sqrt(self.dot(self))


def gradient_of(
    trainer: Trainer, objective: Objective, step: Step, samples: Sequence[int] | None, states: States
) -> Gradient:
    """∇ Σ weight × term of `objective` over these samples (None: all), with the passes, ranks and shards of `trainer`.

    `states` are those of the objective's components. Call it between updates: it takes the `.grad` that its passes leave,
    and leaves none. A collective call. Raises RunFailed for an objective that compares with a model that the run does not
    keep.
    """
    policy, ranks = trainer.policy, trainer.ranks
    parameters = policy.parameters()
    assert all(p.grad is None for _, p in parameters), "a gradient is taken between updates, not within one"
    needs = Needs.of(objective, 1)
    require_models(trainer, needs.without_gradient, f"the gradient of {type(objective).__name__}")
    vectors = GradientFree(step, policy, ranks, trainer.reference, trainer.tokens_per_pass, trainer.teachers)
    vectors.compute(dict.fromkeys(needs.credit, range(len(step.samples))))
    (whole,) = split_batch(step, objective, vectors, 1, states_of_parts(objective, states))
    minibatch = whole if samples is None else _restricted(whole, samples)
    vectors.compute(samples_to_score(needs.terms, [minibatch]))
    passes = replace(trainer, objective=objective, updates_per_batch=1, tick=lambda *_: None, counted_as=COUNTED_AS)
    passes.accumulate(minibatch, needs, vectors.read(needs.terms, minibatch.samples), Measured(is_on=False))
    gradients = trainer.updater.summed_gradients()
    trainer.updater.forget_gradients()
    layers = parameter_layers(policy.module)
    return Gradient(gradients, [layers[name] for name, _ in parameters], ranks)


def require_models(trainer: Trainer, needs: Iterable[Need], what: str) -> None:
    """Raises RunFailed for a vector under a reference or a teacher that the run does not keep."""
    for of in (need.of for need in needs):
        absent = of == "reference" and trainer.reference is None
        if absent or (isinstance(of, Teacher) and of not in trainer.teachers.policies):
            raise RunFailed(
                f"a probe asks for {what}, which needs {'a reference model' if absent else of}, and this run keeps none",
                hint="a run keeps the models that its phases' objectives compare with: ask for another objective",
            )


def _restricted(whole: Minibatch, samples: Sequence[int]) -> Minibatch:
    """The same credit, with weight 0 for the tokens of all other samples."""
    kept_N = np.isin(whole.step.tokens.sample_N, list(samples))
    credits = tuple(
        PartCredit(part, replace(credit, weight_N=np.where(kept_N, credit.weight_N, 0.0)))
        for part, credit in whole.credits
    )
    return replace(whole, credits=credits)
