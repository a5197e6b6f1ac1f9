"""The laws of advantages: what a sample earns depends on rewards as the class declares, and on nothing else."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from prerl_spec.needs import Batch, Need
from prerl_spec.registry.component import Component
from prerl_spec.registry.component_state import first_batch
from prerl_spec.registry.kinds.objective_parts import Advantage
from prerl_spec.registry.kinds.stateful import Stateful
from prerl_spec.testing.laws.broken import NOTHING_TO_DIVIDE_BY, LawBroken
from prerl_spec.testing.laws.objective import random_vectors
from prerl_spec.testing.laws.schedule import made_record
from prerl_spec.testing.laws.stateful import METRICS
from prerl_spec.testing.laws.together import Laws
from prerl_spec.testing.steps import Result, made_step
from prerl_spec.types import Array, Attempt, Group, Index, Outcome, Step

TOLERANCE = 1e-9
"""Relative to the largest advantage: sums of a few rewards of size 1, in another order or shifted."""
EPS_TOLERANCE = 1e-3
"""The same where rewards are scaled: a number such as 1e-4, added to a std before a division, may show; a wrong power may
not."""
ROUNDING = 1e-12
"""What is smaller than this for rewards of size 1 is no signal, but the rounding error of one."""

_MIXED: Sequence[Sequence[Result]] = (
    (1.0, 0.0, 0.0, Outcome.UNPARSABLE),
    (1.0, 1.0, Outcome.TIMEOUT, 0.0),
    (0.0, 0.0, 0.0, 0.0),
    (Outcome.ERROR, 0.25, 0.7, 1.0),
    (0.1, 0.1, 0.4),
)
_SCORED: Sequence[Sequence[Result]] = tuple(
    tuple(result for result in group if result not in (Outcome.TIMEOUT, Outcome.ERROR)) for group in _MIXED
)
_DEGENERATE: Sequence[Sequence[Sequence[Result]]] = (
    (),
    ((),),
    ((1.0,),),
    ((0.0,),),
    ((Outcome.TIMEOUT, Outcome.ERROR),),
    ((Outcome.UNPARSABLE, Outcome.UNPARSABLE),),
    ((1.0, Outcome.TIMEOUT), (0.0,)),
    ((0.0, 0.0), (1.0, 1.0)),
)


def check_advantage(component: Component) -> None:
    """Raises AssertionError, with a message, if an advantage breaks a law of its kind."""
    with Laws(component) as laws:
        named: Any = component
        part: Advantage = named
        assert part.per in ("sample", "token"), f"per is {part.per!r}"
        assert part.min_group >= 1, f"min_group is {part.min_group}"
        assert all(need.of != "policy" for need in part.reads()), (
            "reads() names a Need of the policy: advantages come before the forward with gradient, and read `old`"
        )
        mixed = step_for(part, _MIXED)
        # NaN of an unscored sample, the commonest fault, hides no other one.
        step = mixed if laws.hold(_check_values, part, mixed) else step_for(part, _SCORED)
        if step is not mixed:
            laws.hold(_check_values, part, step)
        laws.hold(_check_order, part, step)
        laws.hold(_check_unscored, part, mixed)
        laws.hold(_check_degenerate, part)
        laws.hold(_check_equal_rewards, part)
        laws.hold(_check_rewards_moved, part, step)
        laws.hold(_check_sign, part, step)
        if part.monotone:
            laws.hold(_check_monotone, part, step)


def step_for(part: Advantage, results_PG: Sequence[Sequence[Result]], *, lengths: Sequence[int] | None = None) -> Step:
    """A step with these results, in which every part of the reward that `consumes()` names is as large as the score."""
    step = made_step(results_PG, lengths=lengths)
    named: Any = part
    ports = sorted(port for port in named.consumes() if port.startswith("reward_part["))
    names = dict.fromkeys([*step.part_names, *(port.removeprefix("reward_part[").rstrip("]") for port in ports)])

    def one(attempt: Attempt) -> Attempt:
        if attempt.reward is None:
            return attempt
        return replace(attempt, parts=dict.fromkeys(names, attempt.reward), reward=len(names) * attempt.reward)

    return replace(_each(step, one), part_names=tuple(names))


def known_for(part: Advantage, step: Step) -> dict[Need, Array]:
    """Random values for each vector of `reads()`, which belong to a sample wherever it stands in the step."""
    own = [random_vectors(part.reads(), a.num_trained, seed=sum(a.tokens)) for a in step.samples]
    return {need: np.concatenate([np.zeros(0), *(one[need] for one in own)]) for need in part.reads()}


def batch_for(part: Advantage, step: Step, known: dict[Need, Array], *, is_first: bool) -> Batch:
    """The step as a phase's first batch, or as its second: a component that remembers has a past then, and is judged by
    what it does with one."""
    first = first_batch(part, step, lambda _: known)
    if is_first or not isinstance(part, Stateful):
        return first
    before = step_for(part, _MIXED)
    past = first_batch(part, before, lambda _: known_for(part, before))
    state = dict(past.state)
    after = part.after(past, made_record(1, **METRICS), past.state)
    assert past.state == state, "after() modifies the state that it is passed: it must return a new one"
    return replace(first, state=after, inner={**first.inner, "": after})


def earned(part: Advantage, step: Step, known: dict[Need, Array] | None = None, *, is_first: bool = False) -> Array:
    """The advantages [S] or [N] of a step, with what is wrong about them as an AssertionError."""
    counts = f"{len(step.samples)} samples of {step.tokens.num_tokens} tokens"
    known = known_for(part, step) if known is None else known
    try:
        with np.errstate(divide="raise", invalid="raise"):
            value = part.advantage(batch_for(part, step, known, is_first=is_first))
    except KeyError as error:
        raise AssertionError(
            f"advantage() reads {error}, which reads() does not name (nor consumes(), as `reward_part[NAME]`)"
        ) from error
    except (FloatingPointError, ZeroDivisionError) as error:
        raise LawBroken(f"advantage() fails on {counts}: {error}", help=NOTHING_TO_DIVIDE_BY) from error
    length = len(step.samples) if part.per == "sample" else step.tokens.num_tokens
    assert isinstance(value, np.ndarray), f"advantage() returns a {type(value).__name__}, not an array"
    assert value.shape == (length,), (
        f"advantage() has shape {value.shape} on {counts}: with per = {part.per!r} it must have one value per {part.per}"
    )
    assert value.dtype == np.float64, f"advantage() returns {value.dtype}: rewards are float64, and so is credit"
    assert np.isfinite(value).all(), f"advantage() is not finite on {counts}"
    return value


def _check_values(part: Advantage, step: Step) -> None:
    known = known_for(part, step)
    before = {need: vector.copy() for need, vector in known.items()}
    rewards = step.reward_S.copy()
    value = earned(part, step, known)
    kept = [np.array_equal(known[need], before[need]) for need in before]
    kept.append(np.array_equal(rewards, step.reward_S, equal_nan=True))
    assert all(kept), "advantage() changes the batch that it is passed: it must be pure"
    assert np.array_equal(value, earned(part, step, known)), "advantage() returns another result when called again"
    assert np.abs(value).max(initial=0.0) > 0, "advantage() is 0 for every sample of a mixed step"


def _check_order(part: Advantage, step: Step) -> None:
    """Permuting the attempts of a group, or the groups, permutes the advantages."""
    turned = replace(step, groups=tuple(replace(g, attempts=g.attempts[::-1]) for g in step.groups))
    moved = replace(step, groups=step.groups[::-1])
    for other, what in ((turned, "attempts in a group"), (moved, "groups")):
        gap = _largest_gap(part, step, other)
        assert gap <= TOLERANCE, f"advantage() depends on the order of {what}"


def _check_unscored(part: Advantage, step: Step) -> None:
    """Samples without a reward earn 0, and change nothing for the others."""
    value, unscored_S = earned(part, step), np.isnan(step.reward_S)
    mine = unscored_S if part.per == "sample" else unscored_S[step.tokens.sample_N]
    assert not value[mine].any(), (
        "a sample without a reward (a timeout, an error: NaN in reward_S) earns something: it must earn 0, since nothing "
        "is known about it"
    )
    scored = replace(
        step,
        groups=tuple(replace(g, attempts=tuple(a for a in g.attempts if a.reward is not None)) for g in step.groups),
    )
    gap = _largest_gap(part, scored, step)
    assert gap <= TOLERANCE, (
        "a sample without a reward changes what others earn: leave NaN out of every mean, std and count "
        "(`step.scored_groups()` does)"
    )


def _check_degenerate(part: Advantage) -> None:
    """Finite, never 0/0; a group with one scored sample has no baseline of its own."""
    for results in _DEGENERATE:
        step = step_for(part, results)
        earned(part, step, is_first=True)
        value = earned(part, step)
        if part.baseline_over == "group" and all(sum(not isinstance(r, Outcome) for r in g) < 2 for g in results):
            assert not value.any(), (
                f"a group with fewer than two scored samples earns {np.abs(value).max()}: with baseline_over = "
                '"group" there is nothing to compare, and it must earn 0'
            )
    earned(part, step_for(part, [[1.0, 0.0]], lengths=[0, 0]))


def _check_equal_rewards(part: Advantage) -> None:
    """Equal rewards earn exactly 0 within the samples of the declared baseline, and only there."""
    safe = "`minus_mean` and `without_rounding` of prerl_spec.sdk yield exactly 0"
    in_groups = [
        step_for(part, [[low] * 3, [high] * 7, [1.0, 0.3, 0.0]]) for low, high in ((0, 1), (0.1, 0.7), (1, 0.3))
    ]
    in_batch = [step_for(part, [[reward] * 3, [reward] * 7]) for reward in (0.0, 0.1, 0.7, 1.0)]
    of_groups = max(_largest_in_two_groups(part, step) for step in in_groups)
    of_batch = max(_largest_in_two_groups(part, step) for step in in_batch)
    for size, where in ((of_groups, "a group"), (of_batch, "a batch")):
        assert size == 0 or size > ROUNDING, (
            f"equal rewards in {where} earn {size:.1e}, the rounding error of a mean, which would be trained on: {safe}"
        )
    if part.baseline_over == "group":
        assert of_groups == 0, (
            f"equal rewards in a group earn {of_groups:.1e}, not 0, with baseline_over = 'group': {safe}"
        )
        assert part.min_group >= 2, "baseline_over is 'group', and min_group 1: a group of one has nothing to compare"
    elif part.baseline_over == "batch":
        assert of_batch == 0, (
            f"equal rewards in a batch earn {of_batch:.1e}, not 0, with baseline_over = 'batch': {safe}"
        )
    found = "group" if of_groups == 0 else "batch" if of_batch == 0 else "none"
    assert part.baseline_over == found, (
        f"equal rewards in a {found} earn 0, and baseline_over is {part.baseline_over!r}: declare baseline_over = "
        f"{found!r}, which plan and rules rely on"
    )


def _largest_in_two_groups(part: Advantage, step: Step) -> float:
    mine_S = step.group_S < 2
    mine = mine_S if part.per == "sample" else mine_S[step.tokens.sample_N]
    return float(np.abs(earned(part, step)[mine]).max())


def _check_rewards_moved(part: Advantage, step: Step) -> None:
    """A constant on every reward, and a factor, do what the class declares, and no less."""
    shifted = _largest_gap(part, step, _rewarded(step, lambda reward: reward + 0.5))
    if part.shift:
        assert shifted <= TOLERANCE, "shift = True, and adding 0.5 to every reward changes the advantages"
    else:
        assert shifted > TOLERANCE, (
            "shift = False, and adding 0.5 to every reward changes nothing: declare shift = True"
        )
    scaled = _rewarded(step, lambda reward: 4 * reward)
    gaps = {power: _largest_gap(part, step, scaled, factor=4**power) for power in (0, 1)}
    found = next((power for power, gap in gaps.items() if gap <= EPS_TOLERANCE), None)
    assert part.scale == found, (
        f"scale = {part.scale}, and 4 times the rewards earn {_times(found)}: declare scale = {found}"
    )


def _times(power: int | None) -> str:
    return {0: "the same", 1: "4 times as much", None: "neither the same nor 4 times as much"}[power]


def _check_sign(part: Advantage, step: Step) -> None:
    value = earned(part, step)
    if part.sign == "positive":
        assert (value >= 0).all(), 'sign = "positive", and an advantage is negative'
    elif part.sign == "negative":
        assert (value <= 0).all(), 'sign = "negative", and an advantage is positive'


def _check_monotone(part: Advantage, step: Step) -> None:
    """Within a group a higher reward earns no less; a sample that earns by the token is judged by its mean."""
    value, reward_S = earned(part, step), step.reward_S
    if part.per == "token":
        sum_S = np.bincount(step.tokens.sample_N, weights=value, minlength=len(reward_S))
        value = sum_S / np.maximum(step.tokens.length_S, 1)
    for mine, reward_s in step.scored_groups():
        order = np.argsort(reward_s, kind="stable")
        for low, high in zip(order, order[1:], strict=False):
            less, more = value[mine[low]], value[mine[high]]
            assert reward_s[low] == reward_s[high] or more >= less - TOLERANCE * np.abs(value).max(), (
                f"of two samples of a group, the one with reward {reward_s[low]:g} earns {less:.3g}, the one with "
                f"{reward_s[high]:g} {more:.3g}: a higher reward must earn no less (r − m, not m − r), or the class declares "
                "monotone = False"
            )


def _rewarded(step: Step, changed: Callable[[float], float]) -> Step:
    """The step with other rewards, each of their parts changed alike; the verifier's scores stay."""

    def one(attempt: Attempt) -> Attempt:
        if attempt.reward is None:
            return attempt
        parts = {name: changed(value) for name, value in attempt.parts.items()}
        return replace(attempt, parts=parts, reward=sum(parts.values()))

    return _each(step, one)


def _each(step: Step, changed: Callable[[Attempt], Attempt]) -> Step:
    return replace(step, groups=tuple(replace(g, attempts=tuple(map(changed, g.attempts))) for g in step.groups))


def _largest_gap(part: Advantage, step: Step, other: Step, *, factor: float = 1.0) -> float:
    """Between factor × what samples earn in one step and what they earn in another that has them too, relative to the
    largest."""
    value, there = factor * earned(part, step), earned(part, other)
    gap, size = 0.0, max(1e-300, np.abs(value).max(initial=0.0))
    for mine, its in _pairs(step, other, part.per):
        gap = max(gap, float(np.abs(value[mine] - there[its]).max(initial=0.0)))
    return float(gap / size)


def _pairs(step: Step, other: Step, per: str) -> Iterator[tuple[Index, Index]]:
    """For each sample of a step, the indices of its values there and in the other step."""
    where = {_key(group, attempt): index for index, (group, attempt) in enumerate(_samples(other))}
    for index, (group, attempt) in enumerate(_samples(step)):
        its = where[_key(group, attempt)]
        if per == "sample":
            yield np.array([index]), np.array([its])
        else:
            yield step.tokens.of_samples([index])[1], other.tokens.of_samples([its])[1]


def _samples(step: Step) -> Iterator[tuple[Group, Attempt]]:
    return ((group, attempt) for group in step.groups for attempt in group.attempts)


def _key(group: Group, attempt: Attempt) -> tuple[int, tuple[int, ...], tuple[float, ...] | None]:
    return group.slot, attempt.tokens, attempt.segments[0].logps
