"""Where a phase's batches come from: rows → prompts → attempts → journal → verdicts → journal → rewards → filters → Step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from prerl_spec.compiler.graph import Phase
from prerl_spec.engine.batches.cursor import Cursor, shares, take
from prerl_spec.engine.batches.datasets import OpenDataSet
from prerl_spec.engine.batches.journal import Journal, StepJournal, with_verdicts
from prerl_spec.engine.batches.verifier_pool import Judge
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.seeds import named_seed
from prerl_spec.errors import RunFailed
from prerl_spec.registry.kinds import OpenSampler, Sampler, Verifier
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Decoding, Generation, Group, Outcome, Request, Segment, Step, Verdict

Timed = Callable[[str], Any]
"""Gives a context manager that adds to a stage's seconds."""


class Source(Protocol):
    """Gives the next batch of a phase, the same on every rank, and the position after it."""

    def collect(self, step: int, global_step: int, cursor: Cursor, timed: Timed) -> tuple[Step, Cursor]: ...


@dataclass(frozen=True)
class Documents:
    """Batches of a supervised phase: each document is an attempt without a verdict, in a group of its own."""

    phase: Phase
    datasets: Mapping[str, OpenDataSet]
    codec: Codec
    seed: int
    journal: Journal
    max_length: int
    """Context and document together, in tokens, that the model takes."""

    def collect(self, step: int, global_step: int, cursor: Cursor, timed: Timed) -> tuple[Step, Cursor]:
        """Raises RunFailed for a document that the model cannot take whole."""
        assert self.phase.documents_per_step is not None
        drawn, cursor = draw(
            self.phase, self.datasets, self.phase.documents_per_step, cursor, self.seed, global_step, 0
        )
        with timed("sample"):
            groups = tuple(self._group(slot, name, place) for slot, (name, place) in enumerate(drawn))
        self.journal.documents(self.phase.id, global_step, [(g.prompt.data, g.prompt.row) for g in groups])
        return Step(self.phase.id, step, global_step, groups), cursor

    def _group(self, slot: int, name: str, place: int) -> Group:
        dataset = self.datasets[name]
        prompt = dataset.prompt(place)
        text, tokens = dataset.document_tokens(place)
        if self.phase.objective.component.scope == "all":
            start = self.codec.prefix("auto")
            context = prompt.context
            rest = context[len(start) :] if context[: len(start)] == start else context
            prompt, tokens = replace(prompt, context=start), (*rest, *tokens)
        length = len(prompt.context) + len(tokens)
        if length > self.max_length:
            raise RunFailed(
                f"{dataset.data.row(prompt.row).where}: question and document are {length} tokens, the model takes "
                f"{self.max_length}",
                hint='leave such rows out with over_long = "drop", or shorten them: documents are never cut',
            )
        return Group(slot, prompt, (Attempt((Segment(tokens),), text, "document"),))


@dataclass(frozen=True)
class Rollouts:
    """Batches of a phase that samples: whole groups per rank, journalled before they are judged and before they train."""

    phase: Phase
    datasets: Mapping[str, OpenDataSet]
    codec: Codec
    seed: int
    journal: Journal
    ranks: Ranks
    sampler: OpenSampler
    judge: Judge
    tick: Callable[[str, int, int], None]

    def collect(self, step: int, global_step: int, cursor: Cursor, timed: Timed) -> tuple[Step, Cursor]:
        """Draws, judges, filters and refills in at most `refill_rounds` rounds. Raises RunFailed above the fault limit: this
        step's verdicts then never train, and who goes on has its responses judged anew."""
        assert self.phase.prompts_per_step is not None
        assert self.phase.sampler is not None
        notes = self.journal.open_step(self.phase.id, step, global_step)
        # Nobody reads the journal's file again once one rank may have begun to write it.
        self.ranks.barrier()
        rounds = 1 + max((f.component.refill_rounds for f in self.phase.filters), default=0)
        kept: list[Group] = []
        discarded: list[Group] = []
        for refill in range(rounds):
            missing = self.phase.prompts_per_step - len(kept)
            if missing == 0:
                break
            drawn, cursor = draw(self.phase, self.datasets, missing, cursor, self.seed, global_step, refill)
            first = refill * self.phase.prompts_per_step
            groups = self._judged(self._attempts(drawn, first, refill, global_step, notes, timed), notes, timed)
            for group in groups:
                (kept if all(f.component.keep(group) for f in self.phase.filters) else discarded).append(group)
        if (faults := verifier_faults([*kept, *discarded])) is not None:
            notes.record_rejection(faults)
            raise RunFailed(
                f"step {global_step}: {faults}",
                hint="the step was not trained on and its responses are kept: hint what the verifier needs, and the same "
                "command has them judged again",
            )
        sampler = self.phase.sampler.component
        batch = Step(
            self.phase.id, step, global_step, tuple(kept), sampler.temperature, sampler.max_new_tokens, tuple(discarded)
        )
        return batch, cursor

    def _attempts(
        self,
        drawn: Sequence[tuple[str, int]],
        first_slot: int,
        refill: int,
        global_step: int,
        notes: StepJournal,
        timed: Timed,
    ) -> list[Group]:
        sampler = self.phase.sampler.component if self.phase.sampler else None
        assert sampler is not None
        slots = [first_slot + i for i in range(len(drawn))]
        prompts = [self.datasets[name].prompt(place) for name, place in drawn]
        noted = notes.same_prompts(refill, zip(slots, prompts, strict=True))
        if len(noted) == len(slots):
            return [noted[slot] for slot in slots]
        mine = [i for i in range(len(drawn)) if slots[i] % self.ranks.size == self.ranks.rank]
        seeds = [
            tuple(
                named_seed(self.seed, self.phase.id, global_step, refill, slots[i], s)
                for s in range(sampler.group_size)
            )
            for i in mine
        ]
        requests = [Request(prompts[i].context, s) for i, s in zip(mine, seeds, strict=True)]
        with timed("sample"):
            results = self.sampler.generate(
                requests, decoding_of(sampler), lambda done, total: self.tick("sample", done, total)
            )
        groups = [
            Group(slots[i], prompts[i], tuple(attempt_of(g, self.codec) for g in generations), refill)
            for i, generations in zip(mine, results, strict=True)
        ]
        together = sorted(self.ranks.gather(groups), key=lambda g: g.slot)
        notes.record_generations([g for g in together if g.slot not in noted])
        return [noted.get(g.slot, g) for g in together]

    def _judged(self, groups: Sequence[Group], notes: StepJournal, timed: Timed) -> list[Group]:
        waiting = [g for g in groups if g.attempts and g.attempts[0].verdict is None]
        mine = [g for g in waiting if g.slot % self.ranks.size == self.ranks.rank]
        with timed("verify"):
            judged = self.ranks.gather(self._judge(mine))
        judged.sort(key=lambda g: g.slot)
        notes.record_verdicts(judged)
        by_slot = {g.slot: g for g in judged}
        return [by_slot.get(g.slot, g) for g in groups]

    def _judge(self, groups: Sequence[Group]) -> list[Group]:
        """Verdicts and rewards of whole groups, one batch a verifier."""
        verdicts: dict[int, list[Verdict]] = {}
        for verifier in {id(v): v for v in map(self._verifier, groups)}.values():
            chosen = [g for g in groups if self._verifier(g) is verifier]
            items = [(a.text, g.prompt.gold or "", a.stop == "length") for g in chosen for a in g.attempts]
            answers = iter(self.judge(verifier, items))
            verdicts.update({g.slot: [next(answers) for _ in g.attempts] for g in chosen})
        return [self._rewarded(g, verdicts[g.slot]) for g in groups]

    def _verifier(self, group: Group) -> Verifier:
        own = self.datasets[group.prompt.data].verifier
        if own is not None:
            return own
        assert self.phase.verifier is not None, "the compiler lets no sampling phase pass without a verifier"
        return self.phase.verifier.component

    def _rewarded(self, group: Group, verdicts: Sequence[Verdict]) -> Group:
        judged = with_verdicts(group, verdicts, [v.score for v in verdicts])
        rewards: list[float | None] = []
        for attempt in judged.attempts:
            reward = attempt.reward
            if reward is not None:
                reward += sum(r.component.reward(attempt, judged) for r in self.phase.rewards)
                if not np.isfinite(reward):
                    raise RunFailed(
                        f"a reward of prompt {group.prompt.data}[{group.prompt.row}] is {reward}",
                        hint="rewards must be finite numbers; the journal holds the response",
                    )
            rewards.append(reward)
        return with_verdicts(group, verdicts, rewards)


def draw(
    phase: Phase,
    datasets: Mapping[str, OpenDataSet],
    count: int,
    cursor: Cursor,
    seed: int,
    global_step: int,
    refill: int,
) -> tuple[list[tuple[str, int]], Cursor]:
    """The next `count` (data set, place) of a phase's mixture."""
    names = shares(phase.data, count, seed=seed, phase=phase.id, global_step=global_step, refill=refill)
    places: dict[str, list[int]] = {}
    for name in phase.data:
        places[name], cursor = take(cursor, name, names.count(name), size=len(datasets[name].rows), seed=seed)
    return [(name, places[name].pop(0)) for name in names], cursor


def decoding_of(sampler: Sampler) -> Decoding:
    """How a sampler's own settings draw."""
    return Decoding(sampler.temperature, sampler.top_p, sampler.top_k, sampler.max_new_tokens, tuple(sampler.stop))


def attempt_of(generation: Generation, codec: Codec) -> Attempt:
    """An attempt with one segment, all of it the policy's and trained."""
    tokens = generation.tokens
    spoken = tokens[:-1] if generation.stop == "eos" else tokens
    return Attempt(
        (Segment(tokens, logps=generation.logps, entropies=generation.entropies),),
        codec.decode(spoken),
        generation.stop,
    )


def verifier_faults(groups: Sequence[Group]) -> str | None:
    """What is wrong where more than 5 % of a step's verdicts, and at least 3, are timeouts or errors: that is a broken
    verifier."""
    verdicts = [a.verdict for g in groups for a in g.attempts if a.verdict is not None]
    faults = [v for v in verdicts if v.outcome in (Outcome.TIMEOUT, Outcome.ERROR)]
    if len(faults) < 3 or len(faults) <= 0.05 * len(verdicts):
        return None
    return (
        f"{len(faults)} of {len(verdicts)} verifications ended in a timeout or an error "
        f"(the last: {faults[-1].outcome}: {faults[-1].detail or 'no detail'})"
    )
