"""Whether two objectives are the same up to a factor: by their gradients, whatever their settings call them.

Compared are the gradients with respect to token log-probabilities in small random steps, as the trainer computes them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from prerl_spec.compiler.graph import Named, Phase
from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.engine.training.minibatch import Minibatch, split_batch
from prerl_spec.needs import Need
from prerl_spec.registry.component_state import initial_states, states_after, states_of_parts
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.schedule import Optimizer
from prerl_spec.registry.reward_base import part_name
from prerl_spec.testing.steps import Result, made_documents, made_step
from prerl_spec.types import VERDICT_PART, Array, Attempt, Group, Outcome, Step, StepRecord

STEPS = 4
"""Consecutive steps of a phase that are compared: coefficients and states that move are seen to."""
GROUPS_PER_UPDATE = 6
TOLERANCE = 1e-9
"""In float64, relative to the largest gradient: sums of a few dozen terms of size 1, in another order."""
UNSEEN = 0.02
"""An optimizer is said not to see a factor that changes where five of its updates lead by less than this share: Muon's
orthogonalisation in bfloat16 makes 1.2 % of any."""
LARGE, SMALL = 1.0, 1e-4
"""Size of the elements of gradients, of the longer ones of two arms: where eps sees no factor, and where AdamW's usual eps of
1e-8 sees one of 10 (3 %) and not one of 2 (in arXiv 2604.14142 a coefficient of 0.01 shortens steps to 0.2 … 0.9)."""


def gradient_factor(first: Phase, second: Phase, *, binary: bool) -> float | None:
    """c > 0 where every gradient of the second phase's objective is c times that of the first's; 1.0 where they are equal;
    None where they differ. `binary`: rewards are 0 and 1 only."""
    one, other = first.objective.component, second.objective.component
    if one.uses_rollouts != other.uses_rollouts:
        return None
    steps = list(_steps(second, binary))
    vectors = [_vectors(step, (one, other), second.updates_per_batch) for step in steps]
    wanted = sorted({n for objective in (one, other) for n in Needs.of(objective, 1).policy}, key=repr)
    of_first, of_second = (
        _gradients(objective, steps, vectors, second.updates_per_batch, wanted) for objective in (one, other)
    )
    lengths = np.abs(of_first).max(initial=0.0), np.abs(of_second).max(initial=0.0)
    if not lengths[0] or not lengths[1]:
        return 1.0 if lengths[0] == lengths[1] else None
    factor = float(of_first @ of_second / (of_first @ of_first))
    if factor <= 0 or np.abs(of_second - factor * of_first).max() > TOLERANCE * lengths[1]:
        return None
    return 1.0 if abs(factor - 1) <= TOLERANCE else factor


def ignores_factor(optimizer: Optimizer, factor: float, size: float) -> bool:
    """Whether gradients `factor` times as long lead an optimizer to the same weights, as they do AdamW and Muon; elements of
    the longer ones are about `size`."""
    ends = []
    for scale in (size / max(1.0, factor), size * min(1.0, factor)):
        random = torch.Generator().manual_seed(0)
        shapes = {"layers.0.weight": (6, 4), "norm.weight": (5,)}
        parameters = {name: torch.nn.Parameter(torch.randn(shape, generator=random)) for name, shape in shapes.items()}
        begin = torch.cat([p.detach().reshape(-1).clone() for p in parameters.values()])
        several = optimizer.build(parameters.items())
        for _ in range(5):
            for parameter in parameters.values():
                parameter.grad = scale * torch.randn(parameter.shape, generator=random)
            for one in several:
                one.step()
        ends.append(torch.cat([p.detach().reshape(-1) for p in parameters.values()]) - begin)
    return bool((ends[1] - ends[0]).norm() <= UNSEEN * ends[0].norm())


def _steps(phase: Phase, binary: bool) -> Iterator[Step]:
    """Steps as the phase may see them: mixed groups, all-right and all-wrong ones, truncated responses, any length. Timeouts
    and errors are left out: they are faults, and make groups unequal in which group sizes make the whole difference."""
    random = np.random.default_rng(0)
    for number in range(1, STEPS + 1):
        if phase.sampler is None:
            lengths = random.integers(1, 9, size=GROUPS_PER_UPDATE * phase.updates_per_batch).tolist()
            yield replace(made_documents(lengths, seed=number), step=number, global_step=number)
            continue
        size = phase.sampler.component.group_size
        results = [_results(random, size, binary, share) for share in (0.0, 1.0, *[0.5] * 4) * phase.updates_per_batch]
        made = made_step([results[k] for k in random.permutation(len(results))], seed=number)
        groups = (_with_parts(group, phase.rewards, random) for group in made.groups)
        kept = tuple(g for g in groups if all(named.component.keep(g) for named in phase.filters))
        yield replace(made, groups=kept, step=number, global_step=number)


def _results(random: np.random.Generator, size: int, binary: bool, share: float) -> list[Result]:
    """A group in which this share of responses is right, at random."""
    wrong: list[Result] = [0.0, Outcome.UNPARSABLE, 0.0 if binary else 0.5]
    return [1.0 if random.random() < share else wrong[int(random.integers(3))] for _ in range(size)]


def _with_parts(group: Group, rewards: Sequence[Named[Any]], random: np.random.Generator) -> Group:
    """The group with something of each reward term for each attempt."""

    def rewarded(attempt: Attempt) -> Attempt:
        terms = {part_name(named.use, named.component): float(random.uniform(-1, 1)) for named in rewards}
        parts = {VERDICT_PART: attempt.parts[VERDICT_PART], **terms}
        return replace(attempt, parts=parts, reward=sum(parts.values()))

    return replace(group, attempts=tuple(map(rewarded, group.attempts))) if rewards else group


@dataclass(frozen=True)
class _Vectors:
    """Random vectors [N] of a step by Need, the same for both objectives; `current` are the policy's in each update."""

    step: Step
    known: Mapping[Need, Array]
    current: Sequence[Mapping[Need, Array]]

    def read(self, needs: Iterable[Need], samples: range) -> dict[Need, Array]:
        _, where = self.step.tokens.of_samples(samples)
        return {need: self.known[need][where] for need in needs}

    def of_all(self, needs: Iterable[Need]) -> dict[Need, Array]:
        return {need: self.known[need] for need in needs}


def _vectors(step: Step, objectives: Sequence[Objective], updates: int) -> _Vectors:
    """Before the first update the policy is the old one; in later ones it has gone some way, near and far."""
    random = np.random.default_rng(step.step)
    asked = {need for objective in objectives for part in objective.parts() for need in (*part.needs(), *part.reads())}
    size = step.tokens.num_tokens
    known: dict[Need, Array] = {}
    for need in sorted({n._replace(of="old") if n.of == "policy" else n for n in asked}, key=repr):
        known[need] = random.uniform(0, 3, size) * (1 if need.entropy else -1)
    for need in [n for n in known if n.of == "sampler"]:
        # The sampler's are near the policy's: far from them every correction is at its bound.
        old = known.setdefault(need._replace(of="old"), random.uniform(-3, 0, size))
        known[need] = old + random.normal(0, 0.3, size)
    differentiated = sorted((n for n in asked if n.of == "policy"), key=repr)
    current = []
    for update in range(updates):
        moved = random.normal(0, 0.1 + 0.4 * update, (len(differentiated), size)) * (update > 0)
        current.append({n: known[n._replace(of="old")] + moved[row] for row, n in enumerate(differentiated)})
    return _Vectors(step, known, current)


def _gradients(
    objective: Objective, steps: Sequence[Step], vectors: Sequence[_Vectors], updates: int, wanted: Sequence[Need]
) -> Array:
    """∂(Σ weight × term)/∂logp of every trained token, in every wanted Need, of all updates of all steps, in one vector."""
    needs, states = Needs.of(objective, updates), initial_states(objective)
    found: list[Array] = []
    for step, known in zip(steps, vectors, strict=True):
        minibatches = split_batch(step, objective, known, updates, states_of_parts(objective, states))
        for minibatch in minibatches:
            of_update = _gradient(minibatch, needs, known)
            found += [of_update.get(need, np.zeros(minibatch.step.tokens.num_tokens)) for need in wanted]
        record = StepRecord(
            step.phase, step.step, step.global_step, updates, updates, {}, 0, step.tokens.num_tokens, {}
        )
        states = states_after(objective, step, known.of_all, record, states)
    return np.concatenate(found) if found else np.zeros(0)


def _gradient(minibatch: Minibatch, needs: Needs, vectors: _Vectors) -> dict[Need, Array]:
    """Of one update, as the trainer computes it: from the samples of each part that carry weight, whole."""
    _, of_update = vectors.step.tokens.of_samples(minibatch.samples)
    leaves = {n: torch.tensor(vectors.current[minibatch.index][n][of_update], requires_grad=True) for n in needs.policy}
    inputs = {**{n: torch.from_numpy(vectors.known[n][of_update]) for n in needs.terms}, **leaves}
    for part, credit in minibatch.credits:
        chosen = np.unique(minibatch.step.tokens.sample_N[credit.weight_N != 0])
        if not len(chosen):
            continue
        tokens, index = minibatch.step.tokens.of_samples(chosen.tolist())
        where, weight_n = torch.from_numpy(index), torch.from_numpy(credit.weight_N[index])
        logp = {n: inputs[n][where] for n in part.needs() if n in inputs}
        # A token without weight has no gradient, also where a term is coupled over its sample.
        logp = {n: torch.where(weight_n != 0, v, v.detach()) if v.requires_grad else v for n, v in logp.items()}
        terms = part.terms(logp, torch.from_numpy(credit.advantage_N[index]), tokens)
        torch.autograd.backward((weight_n[weight_n != 0] * terms[weight_n != 0]).sum())
    return {n: np.zeros(len(of_update)) if v.grad is None else v.grad.numpy() for n, v in leaves.items()}
