"""THE loop: collect a step, give credit, update, measure; the same for every algorithm.

What is not here is a component: which samples earn what (objective), when it is over (schedule), who draws (sampler).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.engine.observing import Observed, Slice
from prerl_spec.engine.packing import Pass, pack_shares
from prerl_spec.engine.policy import Policy, known_tensors
from prerl_spec.engine.ranks import Ranks
from prerl_spec.engine.reference import Reference
from prerl_spec.engine.seeds import named_seed
from prerl_spec.engine.updating import Updater, UpdateRecord
from prerl_spec.errors import RunFailed
from prerl_spec.registry.kinds import Objective
from prerl_spec.types import Credit, Need, Step

Credits = Sequence[tuple[Objective, Credit]]


@dataclass(frozen=True)
class Trained:
    """What the updates of one step did; `updates` has an entry an applied one."""

    num_updates: int
    updates: tuple[UpdateRecord, ...]
    loss: float
    trained_tokens: int
    groups_with_signal: int


@dataclass(frozen=True)
class Trainer:
    """The policy, its optimizer, and the objective of a phase."""

    policy: Policy
    updater: Updater
    objective: Objective
    updates_per_batch: int
    tokens_per_pass: int
    ranks: Ranks
    reference: Reference | None
    tick: Callable[[str, int, int], None]

    def train(self, step: Step) -> Trained:
        """Takes the step's updates. All weights exist before any forward, and all old log-probabilities before the first
        update; an update whose weights are all zero moves nothing, weight decay and momentum included."""
        needs = Needs.of(self.objective, self.updates_per_batch)
        observed = Observed(step, self.policy, self.ranks, self.reference, self.tokens_per_pass)
        minibatches = step.split(self.updates_per_batch)
        first = np.cumsum([0, *(len(m.samples) for m in minibatches)])
        known = [observed.part(int(f), m, needs.without_gradient) for f, m in zip(first, minibatches, strict=False)]
        credits = [self._credits(m, k) for m, k in zip(minibatches, known, strict=True)]
        carrying = [weight_carriers(m, c) for m, c in zip(minibatches, credits, strict=True)]
        asked: dict[Need, set[int]] = {need: set() for need in needs.without_gradient}
        for start, minibatch, credit in zip(first, minibatches, credits, strict=False):
            for need, samples in samples_of_needs(minibatch, credit).items():
                if need in asked:
                    asked[need] |= {int(start) + s for s in samples}
        observed.observe(asked)
        records: list[UpdateRecord] = []
        loss = 0.0
        for index, (minibatch, credit) in enumerate(zip(minibatches, credits, strict=True)):
            if not carrying[index]:
                continue
            with self._dropout(step, index):
                loss += self._accumulate(minibatch, credit, needs, known[index])
            records.append(self.updater.apply())
        return Trained(
            num_updates=len(minibatches),
            updates=tuple(records),
            loss=loss / max(1, len(records)),
            trained_tokens=sum(_weighted_tokens(c) for c in credits),
            groups_with_signal=sum(
                len({int(m.group_S[s]) for s in c}) for m, c in zip(minibatches, carrying, strict=True)
            ),
        )

    def _dropout(self, step: Step, update: int) -> AbstractContextManager[None]:
        """That of an adapter, on documents alone: a response must be scored by the distribution that drew it."""
        adapter = self.policy.loaded.adapter
        if adapter is None or self.objective.samples:
            return nullcontext()
        return adapter.dropping(named_seed(step.phase, step.global_step, update))

    def _credits(self, minibatch: Step, known: Slice) -> Credits:
        credits = [(part, part.credit(minibatch, known)) for part in self.objective.parts()]
        size = minibatch.tokens.num_tokens
        for part, credit in credits:
            shapes = (credit.advantage_N.shape, credit.weight_N.shape)
            if shapes != ((size,), (size,)) or not np.isfinite([credit.advantage_N, credit.weight_N]).all():
                raise RunFailed(
                    f"{type(part).__name__}.credit gave shapes {shapes} or values that are not finite; both must be "
                    f"[{size}], one finite number a trained token",
                    mend="correct the objective",
                )
        return credits

    def _accumulate(self, minibatch: Step, credits: Credits, needs: Needs, known: Slice) -> float:
        """Adds this update's gradient, pass by pass and share by share; gives its loss, summed over ranks."""
        division = self.ranks.division
        shares = pack_shares(
            minibatch,
            samples_of_views(minibatch, credits),
            self.policy.codec,
            division,
            tokens_per_pass=self.tokens_per_pass,
            alone=not self.policy.packs,
        )
        loss_of_share = torch.zeros(division.num_shares, dtype=torch.float64, device=self.policy.device)
        made = {need: known.made(need) for need in needs.without_gradient}
        done, num_passes = 0, sum(map(len, shares.values()))
        for share, passes in shares.items():
            for one in passes:
                if one.samples or self.policy.is_sharded:
                    vectors = self.policy.logprobs(one, needs.policy, temperature=minibatch.temperature, of="policy")
                    vectors |= known_tensors(made, one.index_N, self.policy.device)
                    loss = pass_loss(one, credits, vectors, self.policy.device)
                    if self.policy.is_sharded:
                        # Every rank goes back through every view: layers gather their weights there as well.
                        loss = loss + 0.0 * sum(vectors[need].sum() for need in needs.policy)
                    torch.autograd.backward(loss)
                    loss_of_share[share] += loss.detach().double()
                done += 1
                self.tick("train", done, num_passes)
            self.updater.end_share()
        loss_value = float(self.ranks.sum(loss_of_share).sum().item())
        if not np.isfinite(loss_value):
            self.updater.forget_gradients()
            raise RunFailed(
                f"the loss is {loss_value}", mend="nothing was applied; the journal holds the step's tokens"
            )
        return loss_value


def pass_loss(one: Pass, credits: Credits, vectors: Mapping[Need, Tensor], device: torch.device) -> Tensor:
    """Σ weight × term over a pass's tokens and the objective's parts; each part sees only samples it gives weight to."""
    loss = torch.zeros((), device=device)
    for part, credit in credits:
        weight_n = credit.weight_N[one.index_N]
        chosen = np.unique(one.tokens.sample_N[weight_n != 0])
        if not len(chosen):
            continue
        tokens, where = one.tokens.of_samples(chosen.tolist())
        index = torch.from_numpy(where).to(device)
        advantage_n = torch.from_numpy(credit.advantage_N[one.index_N][where]).float().to(device)
        terms = part.terms(
            {need: vectors[need][index] for need in part.needs() if need in vectors}, advantage_n, tokens
        )
        if terms.shape != advantage_n.shape:
            raise RunFailed(
                f"{type(part).__name__}.terms gave shape {tuple(terms.shape)}, not [{tokens.num_tokens}]: one loss a token",
                mend="return per-token terms; the engine multiplies by the weights and sums",
            )
        loss = loss + (torch.from_numpy(weight_n[where]).float().to(device) * terms).sum()
    return loss


def weight_carriers(step: Step, credits: Credits) -> list[int]:
    """The samples with a weight other than zero in any part."""
    carries = np.zeros(step.tokens.num_tokens, dtype=bool)
    for _, credit in credits:
        carries |= credit.weight_N != 0
    return [int(s) for s in np.unique(step.tokens.sample_N[carries])]


def samples_of_needs(step: Step, credits: Credits) -> dict[Need, set[int]]:
    """For each Need, the samples to which a part that asks for it gives weight."""
    wanted: dict[Need, set[int]] = {}
    for part, credit in credits:
        samples = {int(s) for s in np.unique(step.tokens.sample_N[credit.weight_N != 0])}
        for need in part.needs():
            wanted.setdefault(need, set()).update(samples)
    return wanted


def samples_of_views(step: Step, credits: Credits) -> dict[Any, list[int]]:
    """For each differentiated view, the samples to which a part that reads it gives weight."""
    wanted: dict[Any, set[int]] = {}
    for need, samples in samples_of_needs(step, credits).items():
        if need.of == "policy":
            wanted.setdefault(need.view, set()).update(samples)
    return {view: sorted(samples) for view, samples in sorted(wanted.items(), key=lambda item: item[0].name)}


def _weighted_tokens(credits: Credits) -> int:
    carries = np.zeros(credits[0][1].weight_N.shape, dtype=bool)
    for _, credit in credits:
        carries |= credit.weight_N != 0
    return int(carries.sum())
