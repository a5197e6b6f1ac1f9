"""What an objective says of every token of a batch (advantage, weight, term), without training: for people who look."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.engine.observing import Observed
from prerl_spec.engine.packing import pack
from prerl_spec.engine.policy import Policy, known_tensors
from prerl_spec.engine.ranks import Ranks
from prerl_spec.engine.reference import Reference
from prerl_spec.registry.kinds import Objective
from prerl_spec.types import Array, Step


@dataclass(frozen=True)
class PartTerms:
    """One part of an objective on a whole batch: three vectors [N], and the name of what the weights were divided by."""

    name: str
    advantage_N: Array
    weight_N: Array
    term_N: Array
    denominator: str


def token_terms(
    objective: Objective,
    step: Step,
    policy: Policy,
    ranks: Ranks,
    *,
    reference: Reference | None = None,
    tokens_per_pass: int = 8192,
) -> list[PartTerms]:
    """Part by part, on one process, as one update a batch would see them (the ratio to the old policy is 1).

    Unlike training, samples without weight go forward as well: their term is what they would add if they counted.
    """
    needs = Needs.of(objective, 1)
    everyone = list(range(len(step.samples)))
    observed = Observed(step, policy, ranks, reference, tokens_per_pass)
    known = observed.part(0, step, needs.without_gradient)
    credits = [(part, part.credit(step, known)) for part in objective.parts()]
    observed.observe(dict.fromkeys(needs.without_gradient, everyone))
    terms = [np.zeros(step.tokens.num_tokens) for _ in credits]
    for one in pack(
        step,
        {need.view: everyone for need in needs.policy},
        policy.codec,
        tokens_per_pass=tokens_per_pass,
        alone=not policy.packs,
    ):
        with torch.no_grad():
            vectors = policy.logprobs(one, needs.policy, temperature=step.temperature, of="policy")
            vectors |= known_tensors({n: known.made(n) for n in needs.without_gradient}, one.index_N, policy.device)
            for (part, credit), term_N in zip(credits, terms, strict=True):
                advantage_n = torch.from_numpy(credit.advantage_N[one.index_N]).float().to(policy.device)
                asked = {need: vectors[need] for need in part.needs() if need in vectors}
                term_N[one.index_N] = part.terms(asked, advantage_n, one.tokens).double().cpu().numpy()
    return [
        PartTerms(_word(part), credit.advantage_N, credit.weight_N, term_N, credit.denominator)
        for (part, credit), term_N in zip(credits, terms, strict=True)
    ]


def samples_worth_seeing(step: Step, num_samples: int) -> Sequence[int]:
    """Samples of both signs, of one group where a group has both: the first that differ in reward, then the next ones."""
    for group in range(len(step.groups)):
        mine = np.flatnonzero(step.group_S == group)
        rewards = step.reward_S[mine]
        if len(np.unique(rewards[~np.isnan(rewards)])) > 1:
            best, worst = int(mine[np.nanargmax(rewards)]), int(mine[np.nanargmin(rewards)])
            rest = [int(s) for s in mine if s not in (best, worst)]
            return [best, worst, *rest][:num_samples]
    return list(range(len(step.samples)))[:num_samples]


def _word(part: Any) -> str:
    return type(part).__name__
