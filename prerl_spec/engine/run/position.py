"""The position of a run between two steps: its whole state but for tensors, as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Protocol

from prerl_spec.engine.batches.cursor import Cursor
from prerl_spec.registry.component_state import States, from_json, to_json
from prerl_spec.types import StepRecord


class HandsOver(Protocol):
    """What an ended phase leaves to the next one: its schedule, or what the plan of an earlier run keeps of it."""

    @property
    def lr_schedule(self) -> str: ...
    @property
    def data(self) -> str: ...
    @property
    def max_steps(self) -> int | None: ...


@dataclass(frozen=True)
class Position:
    """Progress of a run: `phase` is an index, `step` counts the phase's finished steps.

    `over`: the phase has ended and the next one has not begun. `spent`: it ended because its schedule allows no more
    steps. `lr_offset` counts the steps of earlier phases from which the learning-rate schedule continues, `lr_planned`
    the most steps that those phases could take. `ended_at`: the step at which the schedule ended the phase, in a run that
    a study's budget ends; the last phase of one goes on beyond it.
    """

    phase: int = 0
    step: int = 0
    global_step: int = 0
    updates: int = 0
    generated_tokens: int = 0
    trained_tokens: int = 0
    lr_offset: int = 0
    lr_planned: int = 0
    over: bool = False
    spent: bool = False
    ended_at: int | None = None
    cursor: Cursor = field(default_factory=Cursor.start)
    schedule: Mapping[str, float] | None = None
    components: States | None = None
    """The states of the objective's components by path; None before the phase's first step."""

    def to_json(self) -> dict[str, Any]:
        components = None if self.components is None else to_json(self.components)
        plain = asdict(replace(self, cursor=Cursor({}), components=None))
        if self.ended_at is None:
            del plain["ended_at"]
        return {**plain, "cursor": self.cursor.to_json(), "components": components}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Position":
        """The inverse of `to_json`; further keys of a checkpoint's state are ignored. One that was written before components
        had a state has none."""
        known = {f.name: data[f.name] for f in fields(cls) if f.name not in ("components", "ended_at")}
        known["ended_at"] = data.get("ended_at")
        states = data.get("components")
        components = None if states is None else from_json(states)
        return cls(**{**known, "cursor": Cursor.from_json(data["cursor"]), "components": components})

    @property
    def lr_step(self) -> int:
        """The step of the learning-rate schedule: beyond the phase's own end that of its last step, so that the learning
        rate stays what it was there."""
        return self.lr_offset + (self.step if self.ended_at is None else min(self.step, self.ended_at - 1))

    def after_step(
        self,
        record: StepRecord,
        cursor: Cursor,
        components: States,
        schedule: Mapping[str, float],
        over: bool,
        max_steps: int | None = None,
    ) -> "Position":
        return replace(
            self,
            step=self.step + 1,
            global_step=self.global_step + 1,
            updates=self.updates + record.applied,
            generated_tokens=self.generated_tokens + record.generated_tokens,
            trained_tokens=self.trained_tokens + record.trained_tokens,
            cursor=cursor,
            components=components,
            schedule=schedule,
            over=over,
            spent=over and max_steps is not None and self.step + 1 >= max_steps,
        )

    def reopened(self, max_steps: int | None) -> "Position":
        """The position with its phase continued, if an extended spec allows more steps than the phase has used up."""
        return replace(self, over=False) if self.spent and max_steps is not None and max_steps > self.step else self

    def next_phase(self, *, carry_lr: bool, restart_data: bool, max_steps: int | None = None) -> "Position":
        """The start of the next phase: weights always carry over, the rest as the ended phase's schedule specifies.
        `max_steps` is the most steps that phase could take, None if a token budget ended it."""
        return replace(
            self,
            phase=self.phase + 1,
            step=0,
            over=False,
            spent=False,
            ended_at=None,
            schedule=None,
            components=None,
            lr_offset=self.lr_offset + self.step if carry_lr else 0,
            lr_planned=self.lr_planned + (max_steps or self.step) if carry_lr else 0,
            cursor=Cursor({}) if restart_data else self.cursor,
        )


def after_phase(ended: Position, phase: HandsOver, *, restart_data: bool = False) -> Position:
    """The start of the next phase: weights always carry over, the rest as the ended phase says. With `restart_data` the data
    begin anew whatever it says: each phase has a cursor of its own where streams hang on the phase."""
    return ended.next_phase(
        carry_lr=phase.lr_schedule == "carry",
        restart_data=restart_data or phase.data == "restart",
        max_steps=phase.max_steps,
    )
