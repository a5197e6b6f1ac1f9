"""A stranger's components, for wiring that no built-in needs: ports of their own, rewards, rules left to the compiler."""

from collections.abc import Mapping
from typing import Any, ClassVar

from prerl_components.objectives.presets.group_relative import Grpo

from prerl_spec.registry.entry_points import Entry, Registry, installed
from prerl_spec.sdk import (
    Array,
    Attempt,
    BinaryVerifier,
    Component,
    Conditional,
    Credit,
    Group,
    Need,
    OnePartObjective,
    Outcome,
    Step,
    Tokens,
    Verdict,
)


class Needy(Grpo):
    """Wants a port that only a stranger provides, and no rule of its own."""

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]", "acme.signal"})


class BinaryOnly(Grpo):
    """Understands 0 and 1 alone."""

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[binary]"})


class Silent(Grpo):
    """Leaves every rule about its neighbours to the compiler."""

    def check(self, wiring: object) -> tuple[()]:
        return ()


class Weighed(OnePartObjective):
    """Weighs with how the sampler drew, whatever its settings."""

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]", "logprobs[sampling]"})

    def needs(self) -> frozenset[Need]:
        return frozenset({Need(Conditional(), "policy"), Need(Conditional(), "sampler")})

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        return Credit.nothing(step.tokens.num_tokens, "nothing")

    def terms(self, logp: Mapping[Need, Any], advantage_n: Any, tokens: Tokens) -> Any:
        return -logp[Need(Conditional(), "policy")]


class Signal(Component):
    """A probe that also provides the port."""

    kind: ClassVar = "probe"

    def provides(self) -> frozenset[str]:
        return frozenset({"acme.signal"})


class Graded(BinaryVerifier):
    """A verifier that gives marks between 0 and 1."""

    right_example: ClassVar[tuple[str, str]] = ("A", "A")
    wrong_example: ClassVar[tuple[str, str]] = ("B", "A")

    def provides(self) -> frozenset[str]:
        return frozenset({"reward[scalar]"})

    def judge(self, response: str, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT, 1.0) if response == gold else Verdict(Outcome.WRONG, 0.5)


class Bonus(Component):
    """A reward term."""

    kind: ClassVar = "reward"

    def provides(self) -> frozenset[str]:
        return frozenset({"reward[scalar]"})

    def reward(self, attempt: Attempt, group: Group) -> float:
        return 0.5


def registry() -> Registry:
    """What is installed, and these."""
    here = [
        ("objective", "needy", Needy),
        ("objective", "binary_only", BinaryOnly),
        ("objective", "silent", Silent),
        ("objective", "weighed", Weighed),
        ("probe", "signal", Signal),
        ("probe", "other_signal", Signal),
        ("verifier", "graded", Graded),
        ("reward", "bonus", Bonus),
    ]
    entries = [Entry(kind, f"acme.{name}", f"{__name__}:{c.__name__}", "acme", "1.0") for kind, name, c in here]  # type: ignore[arg-type]
    return Registry([*installed().entries, *entries])
