"""A probe's metric that is not finite ends the step in the probe's name, where it would be gone from the record."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from prerl_components.objectives.presets.group_relative import Grpo

from prerl_spec.compiler.graph import Named
from prerl_spec.engine.training.watching import Watching, finite_metrics
from prerl_spec.errors import RunFailed
from prerl_spec.registry.probe_base import AroundUpdate
from prerl_spec.sdk import Step
from tests.engine.steps import make_trainer, random_step, tiny_policy


class Measuring(AroundUpdate):
    """Two metrics of an update: the second is no number."""

    every: ClassVar[int] = 1

    def measure(self, step: Step) -> Mapping[str, float]:
        return {"seen": 1.0, "spread": float("-inf")}

    def needs(self, objective: Any, num_samples: int) -> tuple[()]:
        return ()

    def after(self, site: Any, state: Any) -> Mapping[str, float]:
        return {"moved": 1.0, "angle": float("nan")}


NAMED: Any = Named("local.measuring", Measuring())


def test_a_metric_of_an_update_that_is_not_finite_names_probe_metric_and_line() -> None:
    trainer, step = make_trainer(tiny_policy(), Grpo()), random_step(2, 2, longest=4)
    watching = Watching.begin([NAMED], step, trainer)
    with pytest.raises(RunFailed, match=r"the probe `local.measuring` gives angle = nan in `after`$") as caught:
        watching.end()
    assert "test_probe_metrics.py:" in (caught.value.hint or "")
    assert caught.value.exit_code == 5


def test_a_metric_of_a_batch_that_is_not_finite_names_probe_and_metric() -> None:
    step = random_step(2, 2, longest=4)
    with pytest.raises(RunFailed, match=r"the probe `local.measuring` gives spread = -inf in `measure`$"):
        finite_metrics(NAMED, "measure", NAMED.component.measure(step))
    assert finite_metrics(NAMED, "measure", {"count": 2}) == {"count": 2.0}
