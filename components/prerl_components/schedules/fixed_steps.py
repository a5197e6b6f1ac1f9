"""A phase with a fixed number of steps."""

from collections.abc import Mapping

from pydantic import Field

from prerl_spec.sdk import Handover, StepRecord


class FixedSteps(Handover):
    """Ends the phase after exactly `steps` steps, including steps without an applied update."""

    steps: int = Field(ge=1, description="exact number of steps of the phase")

    @property
    def max_steps(self) -> int:
        return self.steps

    def initial(self) -> Mapping[str, float]:
        return {"steps": 0}

    def after(self, record: StepRecord, state: Mapping[str, float]) -> tuple[Mapping[str, float], bool]:
        steps = state["steps"] + 1
        return {"steps": steps}, steps >= self.steps
