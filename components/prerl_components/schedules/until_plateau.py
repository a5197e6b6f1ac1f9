"""A phase that ends when a metric stops improving."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from prerl_spec.sdk import Handover, MetricName, RunFailed, StepRecord


class UntilPlateau(Handover):
    """Ends the phase when `metric` has not reached a new maximum for `patience` steps, or after `steps`.

    Only tested at steps that measure the metric: a score measured every 10 steps cannot end the phase in between.
    """

    metric: Annotated[str, MetricName()] = Field(
        min_length=1,
        examples=["reward_mean"],
        description='a step metric ("reward_mean") or a score ("task/metric"); higher is better',
    )
    patience: int = Field(ge=1, description="steps without a new best value before the phase ends")
    steps: int = Field(ge=1, description="maximum number of steps of the phase")

    @property
    def max_steps(self) -> int:
        return self.steps

    def initial(self) -> Mapping[str, float]:
        """The state before the first step; `best_step` is 0 until the metric has been measured."""
        return {"steps": 0, "best": 0.0, "best_step": 0}

    def after(self, record: StepRecord, state: Mapping[str, float]) -> tuple[Mapping[str, float], bool]:
        """Raises RunFailed if the metric was not measured in the first `patience` steps."""
        steps, best, best_step = state["steps"] + 1, state["best"], state["best_step"]
        value = record.metrics.get(self.metric, record.scores.get(self.metric))
        if value is not None and (best_step == 0 or value > best):
            best, best_step = value, steps
        if best_step == 0 and steps >= self.patience:
            known = ", ".join(sorted({*record.metrics, *record.scores}))
            raise RunFailed(
                f"phase {record.phase}: the metric {self.metric!r} was not measured in {self.patience} steps",
                hint=f"use one of the step's metrics ({known}), or set patience above the evaluator's `every`",
            )
        flat = value is not None and steps - best_step >= self.patience
        return {"steps": steps, "best": best, "best_step": best_step}, flat or steps >= self.steps
