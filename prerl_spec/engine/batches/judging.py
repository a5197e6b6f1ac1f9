"""The verdicts of one round's attempts: asked for as these end where the sampler tells it, else when all have ended."""

from collections.abc import Callable, Sequence

from prerl_spec.engine.verification.asked_verdicts import Asked
from prerl_spec.engine.verification.verdict_batch import Item
from prerl_spec.errors import RunFailed
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.types import Group, Prompt, Stop, Verdict


class Judging:
    """Knows what was asked, by slot and number in the group, so that no verdict is that of another text."""

    def __init__(self, asked: Asked, verifier_of: Callable[[Prompt], Verifier]) -> None:
        self._asked = asked
        self._verifier_of = verifier_of
        self._items: dict[tuple[int, int], tuple[int, Item]] = {}
        """The place and the item of each attempt."""

    def ask(self, slot: int, number: int, prompt: Prompt, text: str, stop: Stop) -> None:
        """Asks for the verdict of an attempt. Returns at once."""
        place, item = len(self._items), item_of(prompt, text, stop)
        self._items[slot, number] = place, item
        self._asked.ask(self._verifier_of(prompt), place, item)

    def verdicts_of(self, groups: Sequence[Group]) -> dict[int, list[Verdict]]:
        """Waits for the verdicts of these groups, by slot; asks for those that nobody has asked for. Raises RunFailed, also
        for an attempt that is not the one that was asked for."""
        for group in groups:
            for number, attempt in enumerate(group.attempts):
                if (group.slot, number) not in self._items:
                    self.ask(group.slot, number, group.prompt, attempt.text, attempt.stop)
                elif self._items[group.slot, number][1] != item_of(group.prompt, attempt.text, attempt.stop):
                    raise RunFailed(
                        f"the sampler told another sample {number} of slot {group.slot} than it returned",
                        hint="a sampler's `stream` tells the tokens and the stop reason that it returns",
                    )
        found = self._asked.verdicts() if groups else {}
        return {g.slot: [found[self._items[g.slot, k][0]] for k in range(len(g.attempts))] for g in groups}


def item_of(prompt: Prompt, text: str, stop: Stop) -> Item:
    """What a verifier is asked about an attempt."""
    return text, prompt.gold or "", stop == "length"
