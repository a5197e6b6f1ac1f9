"""Collects a phase's batches: rows → prompts → attempts → journal → verdicts → journal → rewards → filters → Step."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from prerl_spec.compiler.graph import Phase
from prerl_spec.engine.author_faults import blames
from prerl_spec.engine.batches.cursor import Cursor, draw_places, shares
from prerl_spec.engine.batches.datasets import OpenDataSet
from prerl_spec.engine.batches.documents import framed
from prerl_spec.engine.batches.journal import Journal, StepJournal
from prerl_spec.engine.batches.judged_groups import keeps, part_names, rewarded, with_known_parts
from prerl_spec.engine.batches.judging import HOW_TO_TELL, Judging
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.streams import StepStreams, Streams
from prerl_spec.engine.verification.asked_verdicts import Asked
from prerl_spec.errors import RunFailed
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.registry.kinds.sampler import EndedSample, OpenSampler, Sampler, StreamingSampler
from prerl_spec.text import Codec
from prerl_spec.types import (
    Attempt,
    Decoding,
    Generation,
    Group,
    Prompt,
    Request,
    Segment,
    Step,
)

Timed = Callable[[str], Any]
"""`timed(stage)` is a context manager that adds to the stage's seconds."""


class Source(Protocol):
    """Collects the next batch of a phase, the same on every rank, and returns it with the data cursor after it."""

    def collect(self, step: int, global_step: int, cursor: Cursor, timed: Timed) -> tuple[Step, Cursor]: ...


@dataclass(frozen=True)
class Documents:
    """Batches of a supervised phase: each document is an attempt without a verdict, in a separate group."""

    phase: Phase
    datasets: Mapping[str, OpenDataSet]
    codec: Codec
    streams: Streams
    journal: Journal
    max_length: int
    """The model's maximum length of context and document together, in tokens."""

    def collect(self, step: int, global_step: int, cursor: Cursor, timed: Timed) -> tuple[Step, Cursor]:
        assert self.phase.documents_per_step is not None
        streams = self.streams.of_step(self.phase.id, step, global_step)
        drawn, cursor = draw(self.phase, self.datasets, self.phase.documents_per_step, cursor, streams, 0)
        # Reading documents is no sampling: their seconds are in the step's total alone.
        groups = tuple(self._group(slot, name, place) for slot, (name, place) in enumerate(drawn))
        self.journal.documents(self.phase.id, global_step, [(g.prompt.data, g.prompt.row) for g in groups])
        return Step(self.phase.id, step, global_step, groups, streams=self.streams.kind), cursor

    def _group(self, slot: int, name: str, place: int) -> Group:
        dataset = self.datasets[name]
        prompt = dataset.prompt(place)
        text, tokens = dataset.document_tokens(place)
        whole = self.phase.objective.component.scope == "all"
        context, tokens = framed(prompt.context, tokens, self.codec, whole=whole)
        length = len(context) + len(tokens)
        assert length <= self.max_length, f"row {prompt.row} of {name}: {length} tokens were not found to be too many"
        prompt = replace(prompt, context=context)
        return Group(slot, prompt, (Attempt((Segment(tokens),), text, "document"),))


@dataclass(frozen=True)
class Rollouts:
    """Batches of a sampling phase: whole groups per rank. A round's tokens are journalled before any of its verdicts is, and
    its verdicts before training.

    Samples of a `StreamingSampler` are verified as they end, beside the sampling of the others. Their verdicts stay in memory
    until the round's tokens are on the disk: a round is sampled as a whole, again after a kill, since the others in its batch
    move a sample's last bits; so a group that is recorded earlier would save nothing.
    """

    phase: Phase
    datasets: Mapping[str, OpenDataSet]
    codec: Codec
    streams: Streams
    journal: Journal
    ranks: Ranks
    sampler: OpenSampler
    asked: Callable[[], AbstractContextManager[Asked]]
    """Takes the questions of a round."""
    tick: Callable[[str, int, int], None]
    alone: Callable[[], AbstractContextManager[None]]
    """Around what this rank does by itself: if a signal stops it at a tick, all ranks stop together afterwards."""

    def collect(self, step: int, global_step: int, cursor: Cursor, timed: Timed) -> tuple[Step, Cursor]:
        """Samples, verifies and filters, with at most `refill_rounds` refills. Raises RunFailed if too many
        verifications fail: the step's verdicts are then never trained on, and a resumed run verifies its responses
        again."""
        assert self.phase.prompts_per_step is not None
        assert self.phase.sampler is not None
        streams = self.streams.of_step(self.phase.id, step, global_step)
        recorded = self.journal.open_step(self.phase.id, step, global_step)
        # All ranks must have read the journal's file before the main rank writes to it.
        self.ranks.barrier()
        rounds = 1 + max((f.component.refill_rounds for f in self.phase.filters), default=0)
        kept: list[Group] = []
        discarded: list[Group] = []
        for refill in range(rounds):
            missing = self.phase.prompts_per_step - len(kept)
            if missing == 0:
                break
            drawn, cursor = draw(self.phase, self.datasets, missing, cursor, streams, refill)
            first = refill * self.phase.prompts_per_step
            with self.asked() as asked:
                judging = Judging(asked, self._verifier, self.codec)
                groups = self._attempts(drawn, first, refill, streams, recorded, judging, timed)
                groups = self._verified(groups, recorded, judging, timed)
            for group in groups:
                (kept if all(keeps(f, group) for f in self.phase.filters) else discarded).append(group)
        if (faults := verifier_faults([*kept, *discarded])) is not None:
            recorded.record_rejection(faults)
            raise RunFailed(
                f"step {global_step}: {faults}",
                hint="the step was not trained on, and its responses are kept: fix the verifier, then re-run the same "
                "command to verify them again and resume",
            )
        sampler = self.phase.sampler.component
        batch = Step(
            self.phase.id,
            step,
            global_step,
            tuple(kept),
            sampler.temperature,
            sampler.max_new_tokens,
            tuple(discarded),
            part_names=part_names(self.phase.rewards),
            streams=self.streams.kind,
        )
        return batch, cursor

    def _attempts(
        self,
        drawn: Sequence[tuple[str, int]],
        first_slot: int,
        refill: int,
        streams: StepStreams,
        journal: StepJournal,
        judging: Judging,
        timed: Timed,
    ) -> list[Group]:
        sampler = self.phase.sampler.component if self.phase.sampler else None
        assert sampler is not None
        slots = [first_slot + i for i in range(len(drawn))]
        prompts = [self.datasets[name].prompt(place) for name, place in drawn]
        found = journal.same_prompts(refill, zip(slots, prompts, strict=True))
        budget = sampler.max_new_tokens
        recorded = {slot: replace(group, max_new_tokens=budget) for slot, group in found.items()}
        if len(recorded) == len(slots):
            return [recorded[slot] for slot in slots]
        mine = [i for i in range(len(drawn)) if slots[i] % self.ranks.size == self.ranks.rank]
        seeds = [tuple(streams.sample(refill, slots[i], s) for s in range(sampler.group_size)) for i in mine]
        requests = [Request(prompts[i].context, s) for i, s in zip(mine, seeds, strict=True)]

        def ended(samples: Sequence[EndedSample]) -> None:
            for sample in samples:
                if sample.request not in range(len(mine)):
                    raise RunFailed(
                        f"the sampler told a sample of request {sample.request}, of {len(mine)}", hint=HOW_TO_TELL
                    )
                i = mine[sample.request]
                if slots[i] not in recorded:
                    judging.told(slots[i], prompts[i], sample)

        with timed("sample"), self.alone():
            results = self._generate(requests, decoding_of(sampler), ended if judging.begins_early else None)
        judging.all_drawn()
        groups = [
            Group(slots[i], prompts[i], judging.attempts_of(slots[i], generations), refill, budget)
            for i, generations in zip(mine, results, strict=True)
        ]
        together = sorted(self.ranks.gather(groups), key=lambda g: g.slot)
        journal.record_generations([g for g in together if g.slot not in recorded])
        return [recorded.get(g.slot, g) for g in together]

    def _generate(
        self, requests: Sequence[Request], decoding: Decoding, ended: Callable[[Sequence[EndedSample]], None] | None
    ) -> list[list[Generation]]:
        def progress(done: int, total: int) -> None:
            self.tick("sample", done, total)

        assert self.phase.sampler is not None
        named = self.phase.sampler
        if ended is not None and isinstance(self.sampler, StreamingSampler):
            with blames(named.component, "stream", name=named.use):
                return self.sampler.stream(requests, decoding, ended, progress)
        with blames(named.component, "generate", name=named.use):
            return self.sampler.generate(requests, decoding, progress)

    def _verified(self, groups: Sequence[Group], journal: StepJournal, judging: Judging, timed: Timed) -> list[Group]:
        unverified = [g for g in groups if g.attempts and g.attempts[0].verdict is None]
        mine = [g for g in unverified if g.slot % self.ranks.size == self.ranks.rank]
        with timed("verify"):
            with self.alone():
                verdicts = judging.verdicts_of(mine)
                own = [rewarded(g, verdicts[g.slot], self.phase.rewards) for g in mine]
            verified = self.ranks.gather(own)
        verified.sort(key=lambda g: g.slot)
        journal.record_verdicts(verified)
        by_slot = {g.slot: g for g in verified}
        return [by_slot.get(g.slot) or with_known_parts(g, self.phase.rewards) for g in groups]

    def _verifier(self, prompt: Prompt) -> Verifier:
        own = self.datasets[prompt.data].verifier
        if own is not None:
            return own
        assert self.phase.verifier is not None, "the compiler rejects a sampling phase without a verifier"
        return self.phase.verifier.component


def draw(
    phase: Phase,
    datasets: Mapping[str, OpenDataSet],
    count: int,
    cursor: Cursor,
    streams: StepStreams,
    refill: int,
) -> tuple[list[tuple[str, int]], Cursor]:
    """The next `count` (data set, index into its rows) of a phase's mixture."""
    names = shares(phase.data, count, streams=streams, refill=refill)
    places: dict[str, list[int]] = {}
    for name in phase.data:
        size = len(datasets[name].rows)
        places[name], cursor = draw_places(cursor, name, names.count(name), size=size, streams=streams)
    return [(name, places[name].pop(0)) for name in names], cursor


def decoding_of(sampler: Sampler) -> Decoding:
    """The decoding parameters of a sampler's settings."""
    return Decoding(sampler.temperature, sampler.top_p, sampler.top_k, sampler.max_new_tokens, tuple(sampler.stop))


def verifier_faults(groups: Sequence[Group]) -> str | None:
    """A message if more than 5 % of a step's verdicts, and at least 3, are errors, or timeouts that the answers have not
    caused, which indicates a broken verifier; else None."""
    verdicts = [a.verdict for g in groups for a in g.attempts if a.verdict is not None]
    faults = [v for v in verdicts if v.is_fault]
    if len(faults) < 3 or len(faults) <= 0.05 * len(verdicts):
        return None
    return (
        f"{len(faults)} of {len(verdicts)} verifications ended in a timeout or an error "
        f"(the last: {faults[-1].outcome}: {faults[-1].detail or 'no detail'})"
    )
