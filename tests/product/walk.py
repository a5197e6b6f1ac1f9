"""Every objective of the registry, and every part of a policy gradient once, on a step of its own kind."""

import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr
from prerl_components.optimizers.adamw import Adamw

from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.reference import Reference, reference_of
from prerl_spec.engine.policy.teachers import Teachers
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.registry.nested_components import teachers_in
from prerl_spec.testing.steps import made_documents
from prerl_spec.testing.tiny import tiny_loaded
from prerl_spec.types import Step
from tests.engine.steps import attempt, gradient_of, make_trainer, random_step
from tests.product.axes import Combination, axes, leaves_a_sample
from tests.product.built_ins import built_ins, examples
from tests.product.steps import step_near, trained

SMOOTH = Adamw(lr=0.1, eps=1.0, max_grad_norm=1e9)
"""Without eps, Adam divides by the root of tiny squared gradients, which magnifies the rounding of the first update."""


def objectives() -> Iterator[tuple[str, Any]]:
    """Name -> objective of the registry."""
    for use, settings in examples("objective").items():
        yield use, built_ins("objective")[use].model_validate(settings)


def combinations() -> Iterator[Combination]:
    """The choices of every axis in turn, until each was taken."""
    choices = axes()
    for turn in range(max(map(len, choices.values()))):
        combination = Combination(*(c[turn % len(c)] for c in choices.values()))
        if leaves_a_sample(combination):
            yield combination


def uneven_steps() -> dict[str, Step]:
    """Ragged lengths; odd slots without a trained token; odd slots with a single one."""
    ragged = random_step(5, 4, seed=1)
    alike = tuple(attempt([1, 2, 3], 1.0) for _ in range(4))
    groups = tuple(replace(g, attempts=alike) if g.slot % 2 else g for g in ragged.groups)
    single = (attempt([7], 0.0), attempt([8, 9], 1.0), attempt([8, 9], 1.0), attempt([8, 9], 1.0))
    lone = replace(ragged, groups=(ragged.groups[0], replace(ragged.groups[1], attempts=single)))
    return {"ragged": ragged, "no trained token": replace(ragged, groups=groups), "a single token": lone}


class Scene(NamedTuple):
    """A policy that has moved away from its reference, and the steps that all objectives share."""

    policy: Policy
    reference: Reference
    rollouts: Step
    documents: Step

    @classmethod
    def made(cls) -> "Scene":
        policy = Policy(tiny_loaded(), torch.device("cpu"))
        reference = reference_of(policy)
        generator = torch.Generator().manual_seed(1)
        for _, parameter in policy.parameters():
            parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        return cls(policy, reference, step_near(policy), made_documents([3, 8, 1, 5, 7, 2]))

    def cases(self) -> Iterator[tuple[str, Any, Step]]:
        """Name, objective and step: every objective once, and two of them on uneven steps."""
        for name, objective in objectives():
            yield name, objective, self.rollouts if objective.uses_rollouts else self.documents
        for where, step in uneven_steps().items():
            yield f"grpo, {where}", Grpo(aggregation="token_mean"), step
            yield f"marginal_nsr, {where}", MarginalNsr(), step

    def cases_with_parts(self) -> Iterator[tuple[str, Any, Step]]:
        """The same, and every part of a policy gradient once."""
        yield from self.cases()
        yield from ((str(c), c.objective(), self.rollouts) for c in combinations())

    def teachers(self, objective: Any) -> Teachers:
        """A tiny model in place of each teacher."""
        return Teachers({t: Policy(tiny_loaded(seed=5), torch.device("cpu")) for t in teachers_in(objective)})


class Walked(NamedTuple):
    """Of two updates a batch: the gradient of each, and what was measured."""

    gradients: list[torch.Tensor]
    measures: dict[str, float]


def walk(scene: Scene, ranks: Ranks, *, tokens_per_pass: int) -> dict[str, Walked]:
    """Every objective and every part, from the same weights."""
    initial = deepcopy(scene.policy.module.state_dict())
    found: dict[str, Walked] = {}
    for name, objective, step in scene.cases_with_parts():
        result, gradients = trained(
            scene.policy,
            objective,
            step,
            updates=2,
            optimizer=SMOOTH,
            tokens_per_pass=tokens_per_pass,
            ranks=ranks,
            reference=scene.reference,
            teachers=scene.teachers(objective),
        )
        scene.policy.module.load_state_dict(initial)
        found[name] = Walked(gradients, {**result.measures, "loss": result.loss})
    return found


def first_gradients(
    scene: Scene, ranks: Ranks, *, tokens_per_pass: int, sharded: bool = False
) -> dict[str, torch.Tensor]:
    """The gradient of every objective's first update, which is not applied."""
    if sharded:
        scene.policy.shard(ranks, {})
    found = {}
    for name, objective, step in scene.cases():
        teachers = scene.teachers(objective)
        if sharded:
            teachers.shard(ranks, {})
        trainer = make_trainer(
            scene.policy,
            objective,
            optimizer=SMOOTH,
            tokens_per_pass=tokens_per_pass,
            ranks=ranks,
            reference=scene.reference,
            teachers=teachers,
        )
        if getattr(objective, "trains", True):
            found[name] = gradient_of(trainer, step)
    return found


if __name__ == "__main__":
    ranks = Ranks.start()
    walked = walk(Scene.made(), ranks, tokens_per_pass=20)
    sharded = {}
    if sys.argv[2:] == ["sharded"]:
        sharded = first_gradients(Scene.made(), ranks, tokens_per_pass=20, sharded=True)
    if ranks.is_main:
        plain = {name: (w.gradients, w.measures) for name, w in walked.items()}
        torch.save({"size": ranks.size, "walked": plain, "sharded": sharded}, Path(sys.argv[1]))
