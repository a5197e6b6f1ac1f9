"""A phase that ends when a metric stops rising."""

from collections.abc import Mapping

from pydantic import Field

from prerl_spec.sdk import Handover, RunFailed, StepRecord


class UntilPlateau(Handover):
    """Over when `metric` has not risen for `patience` steps, or after `steps`.

    Judged on steps that measure the metric only: a score taken every 10 steps is not called flat in between.
    """

    metric: str = Field(
        min_length=1,
        examples=["reward_mean"],
        description='a key of the step metrics ("reward_mean") or "task/metric"; higher is better',
    )
    patience: int = Field(ge=1, description="steps without a new best")
    steps: int = Field(ge=1, description="steps of the phase at most")

    @property
    def max_steps(self) -> int:
        return self.steps

    def initial(self) -> Mapping[str, float]:
        """`best_step` 0: not measured yet."""
        return {"steps": 0, "best": 0.0, "best_step": 0}

    def after(self, record: StepRecord, state: Mapping[str, float]) -> tuple[Mapping[str, float], bool]:
        """Raises RunFailed where the first `patience` steps never measured the metric."""
        steps, best, best_step = state["steps"] + 1, state["best"], state["best_step"]
        value = record.metrics.get(self.metric, record.scores.get(self.metric))
        if value is not None and (best_step == 0 or value > best):
            best, best_step = value, steps
        if best_step == 0 and steps >= self.patience:
            known = ", ".join(sorted({*record.metrics, *record.scores}))
            raise RunFailed(
                f"phase {record.phase}: the metric {self.metric!r} was not measured in {self.patience} steps",
                hint=f"a step measures: {known}; or make patience longer than the evaluator's `every`",
            )
        flat = value is not None and steps - best_step >= self.patience
        return {"steps": steps, "best": best, "best_step": best_step}, flat or steps >= self.steps
