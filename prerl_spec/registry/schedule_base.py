"""Settings common to all schedules: what the next phase inherits. Weights always carry over."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from prerl_spec.codes import Code
from prerl_spec.registry.component import Component, Conflict, Place, Wiring


class Handover(Component):
    """The four hand-over settings of a phase; a concrete schedule adds when the phase ends."""

    kind = "schedule"

    optimizer: Literal["carry", "reset"] | None = Field(
        None,
        description="whether the next phase inherits the optimizer's moments; default: carry if it uses the same "
        "optimizer, else reset",
    )
    lr_schedule: Literal["restart", "carry"] = Field(
        "restart",
        description="carry: this phase and the next share one learning-rate schedule, with one warm-up and one decay "
        "spanning both; restart: the next phase starts its own",
    )
    reference: Literal["resync", "keep"] = Field(
        "resync", description="whether the next phase's reference model is the policy at the hand-over"
    )
    data: Literal["carry", "restart"] = Field(
        "carry", description="whether the next phase continues in its data where this one stopped"
    )

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        for setting in ("optimizer", "lr_schedule", "reference", "data"):
            if wiring.is_last_phase and setting in wiring.written:
                yield Conflict(
                    Code.NO_EFFECT,
                    f"`{setting}` has no effect in the last phase: there is no next one to inherit",
                    (Place("self", setting),),
                )
