"""The laws of each kind, as functions that raise AssertionError with a message: for the tests of component authors.

def test_my_objective_obeys_the_laws() -> None:
    check_objective(MyObjective(coefficient=0.5))
"""

from prerl_spec.testing.laws.adapter import check_adapter
from prerl_spec.testing.laws.advantage import check_advantage
from prerl_spec.testing.laws.component import check_component
from prerl_spec.testing.laws.correction import check_correction
from prerl_spec.testing.laws.judging import check_filter, check_reward, check_verifier
from prerl_spec.testing.laws.objective import check_objective
from prerl_spec.testing.laws.optimizer import check_optimizer
from prerl_spec.testing.laws.ramp import check_ramp
from prerl_spec.testing.laws.sampler import check_sampler
from prerl_spec.testing.laws.schedule import check_schedule
from prerl_spec.testing.laws.selection import check_selection
from prerl_spec.testing.laws.supply import check_data, check_model
from prerl_spec.testing.laws.surrogate import check_surrogate
from prerl_spec.testing.laws.watching import check_probe, check_tracker, check_view

__all__ = [
    "check_adapter",
    "check_advantage",
    "check_component",
    "check_correction",
    "check_data",
    "check_filter",
    "check_model",
    "check_objective",
    "check_optimizer",
    "check_probe",
    "check_ramp",
    "check_reward",
    "check_sampler",
    "check_schedule",
    "check_selection",
    "check_surrogate",
    "check_tracker",
    "check_verifier",
    "check_view",
]
