"""Trains on one batch: credit assignment, packed forward and backward passes, optimizer updates.

The same for every algorithm. Components decide the rest: credit and loss terms (objective), the end of a phase
(schedule), the rollouts (sampler).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from prerl_spec.compiler.objective_needs import Needs, trains
from prerl_spec.engine.author_faults import blames
from prerl_spec.engine.policy.packing import Pass, pack_shares
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.reference import Reference
from prerl_spec.engine.policy.teachers import Teachers
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.streams import Streams
from prerl_spec.engine.training.gradient_free_logprobs import GradientFree
from prerl_spec.engine.training.measured import Measured
from prerl_spec.engine.training.minibatch import Minibatch, credit_check, credit_measures, samples_to_score, split_batch
from prerl_spec.engine.training.on_policy import OnPolicy
from prerl_spec.engine.training.part_inputs import PartInput, part_inputs
from prerl_spec.engine.training.pass_faults import PassFaults
from prerl_spec.engine.training.pass_loss import pass_loss
from prerl_spec.engine.training.updater import Updater, UpdateRecord
from prerl_spec.errors import RunFailed
from prerl_spec.needs import Need
from prerl_spec.registry.component_state import States, initial_states, states_of_parts
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.types import Array, Step


@dataclass(frozen=True)
class Trained:
    """Result of training on one batch; `updates` has one record for each applied update, of `num_updates` attempted: none
    for an objective that never trains."""

    num_updates: int
    updates: tuple[UpdateRecord, ...]
    loss: float
    trained_tokens: int
    groups_with_signal: int
    credit: str
    """A hash of all advantages and weights, which were fixed before the first update."""
    measures: Mapping[str, float]
    """What the objective measured per token, averaged over trained tokens: clip fractions, correction weights."""
    known: Mapping[Need, Array]
    """The vectors [N] that credits read."""

    def read(self, needs: Iterable[Need]) -> dict[Need, Array]:
        """Some of these vectors."""
        return {need: self.known[need] for need in needs}


@dataclass(frozen=True)
class Trainer:
    """Trains the policy of a phase with its objective and optimizer."""

    policy: Policy
    updater: Updater
    objective: Objective
    updates_per_batch: int
    tokens_per_pass: int
    ranks: Ranks
    reference: Reference | None
    tick: Callable[[str, int, int], None]
    teachers: Teachers = field(default_factory=Teachers)
    counted_as: str = "policy"
    """The label under which the policy counts the forwards with gradient."""
    streams: Streams = field(default_factory=lambda: Streams(0))

    def train(self, batch: Step, states: States | None = None, on_policy: OnPolicy | None = None) -> Trained:
        """Takes the batch's updates. All weights are computed before any forward with gradient, and all old
        log-probabilities before the first update; an update with only zero weights is skipped, weight decay and
        momentum included. `states` are those of the objective's components, None at a phase's start. `on_policy` sees the
        policy before the first update is applied."""
        needs = Needs.of(self.objective, self.updates_per_batch)
        vectors = GradientFree(batch, self.policy, self.ranks, self.reference, self.tokens_per_pass, self.teachers)
        everything = range(len(batch.samples))
        vectors.compute(dict.fromkeys(needs.credit, everything))
        if states is None:
            with blames(self.objective, "initial"):
                states = initial_states(self.objective)
        of_parts = states_of_parts(self.objective, states)
        minibatches = split_batch(batch, self.objective, vectors, self.updates_per_batch, of_parts)
        vectors.compute(samples_to_score(needs.terms, minibatches))
        if on_policy is not None:
            on_policy.begin(minibatches, vectors)
        measured = Measured.of(self.objective, self.updates_per_batch)
        losses: list[float] = []
        records: list[UpdateRecord] = []
        for minibatch in minibatches:
            if minibatch.weighted_N.any():
                known = vectors.read(needs.terms, minibatch.samples)
                with self._all_or_nothing():
                    losses.append(self.accumulate(minibatch, needs, known, measured, on_policy))
                    if on_policy is not None and minibatch.index == 0:
                        on_policy.end()
                records.append(self.updater.apply())
        return Trained(
            num_updates=len(minibatches) if trains(self.objective) else 0,
            updates=tuple(records),
            loss=sum(losses) / max(1, len(losses)),
            trained_tokens=sum(m.num_weighted_tokens for m in minibatches),
            groups_with_signal=sum(m.num_groups_with_signal for m in minibatches),
            credit=credit_check(minibatches),
            measures={**measured.means(self.ranks), **credit_measures(minibatches)},
            known=vectors.read(needs.credit, everything),
        )

    def accumulate(
        self,
        minibatch: Minibatch,
        needs: Needs,
        known: Mapping[Need, Array],
        measured: Measured,
        on_policy: OnPolicy | None = None,
    ) -> float:
        """Accumulates the gradient of one update, pass by pass; returns its loss, summed over ranks."""
        division = self.ranks.division
        shares = pack_shares(
            minibatch.step,
            minibatch.samples_by_view(),
            self.policy.codec,
            division,
            tokens_per_pass=self.tokens_per_pass,
            arrangement=self.policy.arrangement,
        )
        loss_of_share = torch.zeros(division.num_shares, dtype=torch.float64, device=self.policy.device)
        done, num_passes, faults = 0, sum(map(len, shares.values())), PassFaults()
        with self._dropout(minibatch):
            for share, passes in shares.items():
                for one in passes:
                    self.policy.end_with_next_pass(done + 1 == num_passes)
                    if one.sample_ids or self.policy.is_sharded:
                        vectors = self._vectors(one, minibatch, needs, known, on_policy)
                        parts = list(part_inputs(one, minibatch.credits, vectors, self.policy.device))
                        loss = self._loss(parts, faults, needs, vectors)
                        measured.add(minibatch.index, share, parts)
                        faults.watch(parts)
                        with blames(self.objective, "terms"):
                            torch.autograd.backward(loss)
                        faults.keep_gradients(parts)
                        loss_of_share[share] += loss.detach().double()
                    done += 1
                    self.tick("train", done, num_passes)
                self.updater.end_share()
        # One message, one transfer. A rank that stopped by itself would leave the others waiting for its gradients.
        told = self.ranks.sum(torch.cat([loss_of_share, faults.num_at_fault(self.policy.device)])).cpu()
        loss_value, num_at_fault = float(told[:-1].sum().item()), int(told[-1].item())
        if not np.isfinite(loss_value):
            self.ranks.fail_together(partial(faults.refuse_terms, minibatch.step))
            raise RunFailed(
                f"the loss is {loss_value}", hint="the update was not applied; the journal holds the step's rollouts"
            )
        if num_at_fault:
            self.ranks.fail_together(partial(faults.refuse_gradients, minibatch.step))
        return loss_value

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Forgets the gradients of an update that fails in one of its passes."""
        try:
            yield
        except RunFailed:
            self.updater.forget_gradients()
            raise

    def _vectors(
        self, one: Pass, minibatch: Minibatch, needs: Needs, known: Mapping[Need, Array], on_policy: OnPolicy | None
    ) -> dict[Need, Tensor]:
        """The vectors [n] of a pass: those of the policy with their graph, the others as float32."""
        asked = dict.fromkeys((*needs.policy, *(() if on_policy is None else on_policy.awaited)))
        found = self.policy.logprobs(one, asked, temperature=minibatch.step.temperature, of=self.counted_as)
        if on_policy is not None:
            on_policy.saw(one, found)
        return {**found, **_tensors(known, one, self.policy.device)}

    def _loss(
        self, parts: Sequence[PartInput], faults: PassFaults, needs: Needs, vectors: Mapping[Need, Tensor]
    ) -> Tensor:
        """A pass's share of the update's loss, with its graph."""
        loss = pass_loss(parts, faults, self.policy.device)
        if self.policy.is_sharded:
            # Every rank runs the backward pass of every view: layers gather their weights there as well.
            loss = loss + 0.0 * sum(vectors[need].sum() for need in needs.policy)
        return loss

    def _dropout(self, minibatch: Minibatch) -> AbstractContextManager[None]:
        """Adapter dropout, for documents only: rollouts must be scored under the distribution that sampled them."""
        adapter = self.policy.loaded.adapter
        if adapter is None or self.objective.uses_rollouts:
            return nullcontext()
        step = minibatch.step
        return adapter.dropping(self.streams.of_step(step.phase, step.step, step.global_step).dropout(minibatch.index))


def _tensors(known: Mapping[Need, Array], one: Pass, device: torch.device) -> dict[Need, Tensor]:
    """The part of a minibatch's vectors that belongs to a pass, as float32 on the device."""
    return {need: torch.from_numpy(values[one.index_N]).float().to(device) for need, values in known.items()}
