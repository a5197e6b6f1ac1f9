"""Settings shared by the optimizers: learning rate and its schedule, weight decay, gradient clipping."""

import math
from typing import Annotated, Literal

from pydantic import Field

from prerl_spec.sdk import Component

Beta = Annotated[float, Field(ge=0, lt=1)]


class LearningRate(Component):
    """Warm-up, then constant, or linear or cosine decay to `final_lr_fraction` over the steps of the phase, together with
    the following phases into which its schedule carries the learning rate."""

    kind = "optimizer"

    lr: float = Field(gt=0, description="learning rate after the warm-up")
    weight_decay: float = Field(
        0.0, ge=0, description="decoupled: each update shrinks every weight by lr x weight_decay"
    )
    max_grad_norm: float = Field(1.0, gt=0, description="maximum gradient norm; larger gradients are clipped to it")
    lr_schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="learning-rate decay after the warm-up"
    )
    final_lr_fraction: float = Field(
        0.0, ge=0, lt=1, description="final learning rate of linear and cosine decay, as a fraction of lr"
    )
    warmup_steps: int = Field(0, ge=0, description="steps over which the learning rate rises linearly to lr")

    def lr_factor(self, step: int, num_steps: int | None) -> float:
        """Factor of lr during step `step` (from 0) of `num_steps`, the same for all its updates.

        With w warm-up steps and final fraction f: (step+1)/w during the warm-up; then, with
        p = (step − w)/(num_steps − w), 1 − (1−f)p (linear) or f + (1−f)(1 + cos πp)/2 (cosine).
        """
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.lr_schedule == "constant":
            return 1.0
        assert num_steps is not None, (
            f"lr_schedule {self.lr_schedule!r} needs a number of steps; `validate` should have reported it"
        )
        progress = min((step - self.warmup_steps) / max(num_steps - self.warmup_steps, 1), 1.0)
        remaining = 1.0 - progress if self.lr_schedule == "linear" else (1.0 + math.cos(math.pi * progress)) / 2
        return self.final_lr_fraction + (1.0 - self.final_lr_fraction) * remaining
