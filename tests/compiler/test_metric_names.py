"""Where a component does not say which metrics it gives, a schedule may wait for any."""

from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.probes.solved import Solved

from prerl_spec.compiler.rules.metric_rules import said_by


class Measuring(Solved):
    def measure(self, step: object) -> dict[str, float]:  # type: ignore[override]
        return {"mine": 1.0}


class Saying(Measuring):
    metric_names = ("mine",)


class Renamed(Grpo):
    pass


def test_a_subclass_that_measures_anew_says_its_own_names_or_none() -> None:
    assert said_by(Solved()) == ("solved_*",)
    assert said_by(Measuring()) is None
    assert said_by(Saying()) == ("mine",)
    assert said_by(Renamed()) == Grpo.metric_names
