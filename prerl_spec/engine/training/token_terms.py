"""Advantage, weight, loss term and its gradient for every token of a batch, without training: for inspection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.engine.author_faults import blames
from prerl_spec.engine.policy.batch_logprobs import batch_logprobs
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.reference import Reference
from prerl_spec.engine.policy.teachers import NO_TEACHERS, Teachers
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.gradient_free_logprobs import GradientFree
from prerl_spec.engine.training.minibatch import split_batch
from prerl_spec.engine.training.slots import Sizes, Watched, require_tensor
from prerl_spec.needs import Credit, Need
from prerl_spec.registry.component_state import initial_states, states_of_parts
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.types import Array, Step


@dataclass(frozen=True)
class PartTerms:
    """One part of an objective on a whole batch: four vectors [N], and the name of the denominator of the weights.

    `push_N` is −weight · ∂(Σ term)/∂log π(y_t), summed over the views that the part differentiates, in loss per nat: above 0
    where gradient descent raises the token's log-probability. Unlike values of terms, it compares objectives.
    """

    name: str
    advantage_N: Array
    weight_N: Array
    term_N: Array
    push_N: Array
    denominator: str


def token_terms(
    objective: Objective,
    step: Step,
    policy: Policy,
    ranks: Ranks,
    *,
    reference: Reference | None = None,
    teachers: Teachers = NO_TEACHERS,
    tokens_per_pass: int = 8192,
) -> list[PartTerms]:
    """The terms of each part, on one process, with one update per batch (the ratio to the old policy is 1), at a phase's
    start (components have their initial state).

    Unlike in training, zero-weight samples are scored as well: their term is what they would add with nonzero weight.
    """
    needs = Needs.of(objective, 1)
    all_samples = range(len(step.samples))
    gradient_free = GradientFree(step, policy, ranks, reference, tokens_per_pass, teachers)
    gradient_free.compute(dict.fromkeys((*needs.credit, *needs.terms), all_samples))
    states = states_of_parts(objective, initial_states(objective))
    (whole,) = split_batch(step, objective, gradient_free, 1, states)
    vectors = gradient_free.read(needs.terms, all_samples)
    for view in needs.differentiated:
        asked = [need for need in needs.policy if need.view == view]
        found = batch_logprobs(step, all_samples, asked, policy, ranks, tokens_per_pass=tokens_per_pass, of="policy")
        vectors |= dict(zip(asked, found, strict=True))
    known = {need: torch.from_numpy(vector).float() for need, vector in vectors.items()}
    return [_part_terms(part, credit, known, step) for part, credit in whole.credits]


def _part_terms(part: Objective, credit: Credit, vectors: Mapping[Need, Tensor], step: Step) -> PartTerms:
    advantage_n = torch.from_numpy(credit.advantage_N).float()
    given = {need: vectors[need] for need in part.needs() if need in vectors}
    asked = {need: v.clone().requires_grad_() if need.of == "policy" else v for need, v in given.items()}
    watched = Watched.of(part, Sizes(len(step.samples), step.tokens.num_tokens))
    with torch.enable_grad(), blames(part, "terms"):
        term_N = watched.part.terms(asked, advantage_n, step.tokens)
    require_tensor(part, "terms", term_N, step.tokens.num_tokens)
    push_N = _push(term_N, credit.weight_N, [v for need, v in asked.items() if v.requires_grad and not need.entropy])
    name, term_N = type(part).__name__, term_N.detach()
    return PartTerms(name, credit.advantage_N, credit.weight_N, term_N.double().numpy(), push_N, credit.denominator)


def _push(term_N: Tensor, weight_N: Array, logps: Sequence[Tensor]) -> Array:
    """[N] −∂(Σ weight · term)/∂log π; 0 for a term that is a constant."""
    zero = np.zeros(len(weight_N))
    if not term_N.requires_grad or not logps:
        return zero
    carries_N = torch.from_numpy(weight_N != 0)
    loss = (torch.from_numpy(weight_N).float()[carries_N] * term_N[carries_N]).sum()
    found = torch.autograd.grad(loss, logps, allow_unused=True)
    return zero - sum(gradient.double().numpy() for gradient in found if gradient is not None)


def samples_worth_seeing(step: Step, num_samples: int) -> Sequence[int]:
    """Samples with unequal rewards from one group, if any group has them: the best, the worst, then the others."""
    for group in range(len(step.groups)):
        mine = np.flatnonzero(step.group_S == group)
        rewards = step.reward_S[mine]
        if len(np.unique(rewards[~np.isnan(rewards)])) > 1:
            best, worst = int(mine[np.nanargmax(rewards)]), int(mine[np.nanargmin(rewards)])
            rest = [int(s) for s in mine if s not in (best, worst)]
            return [best, worst, *rest][:num_samples]
    return list(range(len(step.samples)))[:num_samples]
