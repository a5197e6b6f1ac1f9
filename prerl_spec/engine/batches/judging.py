"""From samples to attempts and their verdicts, of one round: asked for as samples end where the sampler tells it, else when all
have ended."""

from collections.abc import Callable, Sequence
from threading import current_thread
from typing import NoReturn

from prerl_spec.engine.verification.asked_verdicts import Asked
from prerl_spec.errors import RunFailed
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.registry.kinds.sampler import EndedSample
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Generation, Group, Prompt, Segment, Stop, Verdict

HOW_TO_TELL = (
    "a sampler's `stream` tells each sample at most once, with its numbers, tokens and stop reason, before it returns and in "
    "the thread that called it: `plugin check` finds what does not"
)


class Judging:
    """Knows what was asked, by slot and number in the group, so that no verdict is that of another text."""

    def __init__(self, asked: Asked, verifier_of: Callable[[Prompt], Verifier], codec: Codec) -> None:
        self._asked = asked
        self._verifier_of = verifier_of
        self._codec = codec
        self._told: dict[tuple[int, int], tuple[EndedSample, str]] = {}
        """Samples that were told, with their texts."""
        self._places: dict[tuple[int, int], int] = {}
        self._thread = current_thread()
        self._is_over = False
        self._misused: RunFailed | None = None
        """What was refused first: a sampler's own thread would hear of it alone."""

    @property
    def begins_early(self) -> bool:
        """Whether it is of use to tell samples as they end."""
        return self._asked.begins_early

    def told(self, slot: int, prompt: Prompt, sample: EndedSample) -> None:
        """Asks for the verdict of a sample of this slot that has ended. Returns at once. Raises RunFailed for one that was
        told before, in another thread than the round's, and after `all_drawn`."""
        if current_thread() is not self._thread:
            self._refuse("the sampler told a sample in a thread of its own")
        if self._is_over:
            self._refuse("the sampler told a sample after its `stream` had returned")
        if (slot, sample.sample) in self._told:
            self._refuse(f"the sampler told sample {sample.sample} of slot {slot} twice")
        text = text_of(sample, self._codec)
        self._told[slot, sample.sample] = sample, text
        self._ask(slot, sample.sample, prompt, text, sample.stop)

    def all_drawn(self) -> None:
        """The sampler's call has returned: what it tells from now on is refused."""
        self._is_over = True

    def attempts_of(self, slot: int, generations: Sequence[Generation]) -> tuple[Attempt, ...]:
        """The attempts of a slot."""
        return tuple(self._attempt(slot, number, generation) for number, generation in enumerate(generations))

    def verdicts_of(self, groups: Sequence[Group]) -> dict[int, list[Verdict]]:
        """Waits for the verdicts of these groups, by slot; asks for those that nobody has asked for. Raises RunFailed, also
        for an attempt that is not the sample that was told, for a sample that is no attempt, and for what `told` refused."""
        if self._misused is not None:
            raise self._misused
        returned = {(group.slot, number) for group in groups for number in range(len(group.attempts))}
        for slot, number in self._told.keys() - returned:
            raise RunFailed(f"the sampler told a sample {number} of slot {slot} and returned none", hint=HOW_TO_TELL)
        for group in groups:
            for number, attempt in enumerate(group.attempts):
                if (group.slot, number) not in self._places:
                    self._ask(group.slot, number, group.prompt, attempt.text, attempt.stop)
                elif not _is_of(self._told[group.slot, number][0], attempt.tokens, attempt.stop):
                    raise RunFailed(
                        f"the sampler told another sample {number} of slot {group.slot} than it returned",
                        hint=HOW_TO_TELL,
                    )
        found = self._asked.verdicts() if groups else {}
        return {g.slot: [found[self._places[g.slot, k]] for k in range(len(g.attempts))] for g in groups}

    def _refuse(self, why: str) -> NoReturn:
        failure = RunFailed(why, hint=HOW_TO_TELL)
        self._misused = self._misused or failure
        raise failure

    def _ask(self, slot: int, number: int, prompt: Prompt, text: str, stop: Stop) -> None:
        self._places[slot, number] = place = len(self._places)
        self._asked.ask(self._verifier_of(prompt), place, (text, prompt.gold or "", stop == "length"))

    def _attempt(self, slot: int, number: int, generation: Generation) -> Attempt:
        sample, text = self._told.get((slot, number), (None, ""))
        if sample is not None and _is_of(sample, generation.tokens, generation.stop):
            return attempt_of(generation, text)
        return attempt_of(generation, text_of(generation, self._codec))


def _is_of(sample: EndedSample, tokens: tuple[int, ...], stop: Stop) -> bool:
    return (sample.tokens, sample.stop) == (tokens, stop)


def attempt_of(generation: Generation, text: str) -> Attempt:
    """An attempt of one segment, generated by the policy and trained."""
    segment = Segment(generation.tokens, logps=generation.logps, entropies=generation.entropies)
    return Attempt((segment,), text, generation.stop)


def text_of(sample: Generation | EndedSample, codec: Codec) -> str:
    """What a sample says: its tokens without the end of text."""
    return codec.decode(sample.tokens[:-1] if sample.stop == "eos" else sample.tokens)
