"""The laws of rewards, filters and verifiers: the same input yields the same result."""

import math
from dataclasses import replace
from typing import Any

from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.judging import Filter, Reward, Verifier
from prerl_spec.testing.laws.broken import require
from prerl_spec.testing.laws.together import Laws
from prerl_spec.testing.steps import made_step
from prerl_spec.types import Outcome, Verdict

_GROUPS = made_step(
    [
        [1.0, 0.0, 0.0],
        [1.0, 1.0],
        [0.0, 0.0],
        [Outcome.TIMEOUT, Outcome.ERROR],
        [Outcome.UNPARSABLE, 1.0],
        [1.0],
        [],
    ]
).groups

ODD_RESPONSES = ("", "\x00", "\\boxed{", "\ud800", "{" * 1000)
"""Responses that a policy may sample: each gets a verdict."""


def check_filter(selection: Component) -> None:
    """A filter decides by the group alone, not by the order of its attempts."""
    with Laws(selection):
        named: Any = selection
        chosen: Filter = named
        assert chosen.refill_rounds >= 0, f"refill_rounds is {chosen.refill_rounds}"
        for group in _GROUPS:
            kept = chosen.keep(group)
            require(
                isinstance(kept, bool),
                f"keep() returns {kept!r}, not a bool",
                help="numpy's True is none: return `bool(...)`",
            )
            turned = replace(group, attempts=group.attempts[::-1])
            require(
                chosen.keep(turned) is kept,
                "keep() depends on the order of the attempts",
                help="decide by counts, means or extremes over `group.attempts`, not by the first or the last",
            )


def check_reward(term: Component) -> None:
    """A reward is a finite number, the same for the same attempt, whatever the order of its group's attempts."""
    with Laws(term):
        named: Any = term
        reward: Reward = named
        for group in _GROUPS:
            for attempt in group.attempts:
                if attempt.reward is not None:
                    value = reward.reward(attempt, group)
                    require(
                        math.isfinite(value),
                        f"reward() returns {value}, which is not finite",
                        help="return 0.0 where there is nothing to divide by, or nothing to reward",
                    )
                    assert reward.reward(attempt, group) == value, "reward() returns another value when called again"
                    turned = replace(group, attempts=group.attempts[::-1])
                    require(
                        reward.reward(attempt, turned) == value,
                        "reward() depends on the order of the attempts",
                        help="compare the attempt with counts or means of `group.attempts`, not with its neighbours",
                    )


def check_verifier(judge: Component, *, right: tuple[str, str], wrong: tuple[str, str]) -> None:
    """`right` and `wrong` are pairs (response, gold). A verifier must tell them apart, repeatably;
    its settings alone must rebuild it, because they are sent as JSON; odd responses get a verdict, not an exception. No verdict
    contradicts itself."""
    with Laws(judge):
        rebuilt: Any = type(judge).model_validate(judge.settings())
        verifier: Verifier = rebuilt
        assert verifier.num_workers >= 1, f"num_workers is {verifier.num_workers}"
        assert verifier.seconds_allowed > 0, f"seconds_allowed is {verifier.seconds_allowed}"
        for (response, gold), outcome in ((right, Outcome.RIGHT), (wrong, Outcome.WRONG)):
            assert verifier.check_gold(gold) is None, f"check_gold rejects {gold!r}: {verifier.check_gold(gold)}"
            verdict = check_verdict(verifier, response, gold)
            assert verdict.outcome is outcome, f"{response!r} against {gold!r} is {verdict.outcome}, not {outcome}"
        for odd in ODD_RESPONSES:
            check_verdict(verifier, odd, right[1])


def check_verdict(verifier: Verifier, response: str, gold: str) -> Verdict:
    """A verdict does not contradict itself, and is the same when asked for again."""
    verdict = verifier.judge(response, gold)
    why = verdict.contradiction
    assert why is None, f"the verdict on {response[:40]!r} contradicts itself: {why}"
    assert verifier.judge(response, gold) == verdict, "judge() returns another verdict when called again"
    return verdict
