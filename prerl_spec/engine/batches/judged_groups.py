"""What rewards and filters make of a verified group: the sum of its terms, their parts, and whether it stays."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prerl_spec.compiler.graph import Named, Phase
from prerl_spec.engine.author_faults import attempt_place, blames
from prerl_spec.errors import RunFailed
from prerl_spec.registry.kinds.judging import Filter, Reward
from prerl_spec.registry.reward_base import part_name
from prerl_spec.storage.journal_frames import with_verdicts
from prerl_spec.types import VERDICT_PART, Attempt, Group, Verdict

NOT_FINITE = "rewards must be finite numbers; nothing was applied, and the journal holds the response"


def rewarded(group: Group, verdicts: Sequence[Verdict], rewards: Sequence[Named[Reward]]) -> Group:
    """The group with its verdicts; a scored attempt's reward is score + Σ terms, summed in the order of the spec.

    Raises AuthorFault for a term that cannot be computed, RunFailed for one that is no finite number.
    """
    judged = with_verdicts(group, verdicts, [v.score for v in verdicts])
    terms = {part_name(r.use, r.component): _term(r, judged) for r in rewards}
    assert len(terms) == len(rewards), "the compiler rejects two rewards of one name"
    sums = [
        None if verdict.score is None else verdict.score + sum(values[number] or 0.0 for values in terms.values())
        for number, verdict in enumerate(verdicts)
    ]
    for number, total in enumerate(sums):
        if total is not None and not math.isfinite(total):
            raise RunFailed(f"the rewards of {attempt_place(group, number)} sum up to {total}", hint=NOT_FINITE)
    return with_verdicts(group, verdicts, sums, terms)


def as_recorded(group: Group, phase: Phase) -> Group:
    """A verified group of the journal as the phase's filters and objective have seen it: with its response budget, and
    with known parts. Raises RunFailed."""
    assert phase.sampler is not None, "documents have no verdicts"
    return with_known_parts(replace(group, max_new_tokens=phase.sampler.component.max_new_tokens), phase.rewards)


def with_known_parts(group: Group, rewards: Sequence[Named[Reward]]) -> Group:
    """A group from the journal whose rewards are known by parts: computed again where an earlier version has recorded the
    sum alone. Raises RunFailed where the terms now give another sum than the one that was recorded."""
    expected = part_names(rewards)
    if all(a.reward is None or a.parts.keys() == set(expected) for a in group.attempts):
        return group
    again = rewarded(group, [a.verdict for a in group.attempts if a.verdict is not None], rewards)
    for number, (recorded, computed) in enumerate(zip(group.attempts, again.attempts, strict=True)):
        if recorded.reward != computed.reward:
            raise RunFailed(
                f"the journal has a reward of {recorded.reward} for {attempt_place(group, number)}, without its parts, and "
                f"the rewards of the spec give {computed.reward} now",
                hint="resume with the versions that wrote the journal, or start a new run",
            )
    return again


def part_names(rewards: Sequence[Named[Reward]]) -> tuple[str, ...]:
    """The names of the parts of a reward: the verdict, then the terms in the order of the spec."""
    return (VERDICT_PART, *(part_name(r.use, r.component) for r in rewards))


def keeps(chosen: Named[Filter], group: Group) -> bool:
    """Whether a filter keeps a verified group. Raises AuthorFault if it fails or gives no bool."""
    with blames(chosen.component, "keep", name=chosen.use):
        kept = chosen.component.keep(group)
        if not isinstance(kept, bool | np.bool_):
            raise TypeError(f"keep() returns {kept!r}, not a bool")
    return bool(kept)


def _term(reward: Named[Reward], judged: Group) -> list[float | None]:
    """A term for each attempt of a verified group, None for an attempt without a score."""
    return [
        None if attempt.reward is None else _finite(reward, attempt, number, judged)
        for number, attempt in enumerate(judged.attempts)
    ]


def _finite(reward: Named[Reward], attempt: Attempt, number: int, judged: Group) -> float:
    with blames(reward.component, "reward", name=reward.use):
        returned = reward.component.reward(attempt, judged)
        if isinstance(returned, str | bytes):
            raise TypeError(f"reward() returns {returned!r}, not a number")
        value = float(returned)
    if not math.isfinite(value):
        raise RunFailed(
            f"the reward `{reward.use}` gives {value} for {attempt_place(judged, number)}",
            hint=NOT_FINITE,
        )
    return value
