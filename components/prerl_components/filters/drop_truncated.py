"""Drops groups with a response that was cut off at the response budget."""

from typing import ClassVar

from prerl_spec.sdk import Component, Group


class DropTruncated(Component):
    """Keeps groups in which every response ended by itself: by EOS or a stop string, not at `max_new_tokens`.

    A truncated response is unparsable and scores 0 whatever it was about to say, which also moves the mean that the others
    are compared with. This filter therefore drops the whole group; to keep the group and leave only its truncated and other
    unparsable samples out of the loss (DAPO's overlong filtering, arXiv:2503.14476), set `unparsable = "mask"` in the
    objective. Where responses are long it can drop most groups, the hard ones first: watch `groups_discarded`.
    """

    kind = "filter"
    formula: ClassVar[str] = "no response cut at max_new_tokens"
    refill_rounds: ClassVar[int] = 0
    """Dropped groups are not replaced, except in the rounds of a filter beside it that has some."""

    def consumes(self) -> frozenset[str]:
        return frozenset({"attempts"})

    def keep(self, group: Group) -> bool:
        return all(a.stop != "length" for a in group.attempts)
