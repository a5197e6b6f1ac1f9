"""The laws of ramps: a pure function of the step, finite and at least 0 in every one."""

import math
from typing import Any

from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.objective_parts import Ramp
from prerl_spec.testing.laws.together import Laws

STEPS = (0, 1, 10, 10**6)


def check_ramp(component: Component) -> None:
    """Raises AssertionError, with a message, if a ramp breaks a law of its kind."""
    with Laws(component):
        named: Any = component
        ramp: Ramp = named
        twin: Any = type(component).model_validate(component.settings())
        values = {step: ramp.at(step) for step in STEPS}
        for step, value in values.items():
            assert isinstance(value, int | float), f"at({step}) returns a {type(value).__name__}, not a number"
            assert math.isfinite(value), f"at({step}) is {value}"
            assert value >= 0, f"at({step}) is {value}: a coefficient is at least 0, the sign belongs to the advantage"
        again = {step: ramp.at(step) for step in reversed(STEPS)}
        # A resumed run asks a new object for a later step, without having asked for those before.
        other = {step: twin.at(step) for step in reversed(STEPS)}
        for step, value in values.items():
            assert value == again[step] == other[step], (
                f"at({step}) depends on earlier calls: it must be a function of settings and step alone"
            )
