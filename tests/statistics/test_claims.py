"""Claims: detected after Holm, and of one sign on every axis."""

from prerl_spec.statistics.claims import ArmDifference, claim
from prerl_spec.statistics.intervals import Interval


def of_sign(sign: int, p_value: float = 0.5) -> ArmDifference:
    return ArmDifference(Interval(0.01 * sign, -1.0, 1.0), p_value, p_value)


def test_what_holm_does_not_let_pass_is_not_claimed_though_its_interval_excludes_zero() -> None:
    faint = ArmDifference(Interval(0.03, 0.005, 0.055), 0.03, 0.06)
    assert faint.sign == claim(faint, []) == 0
    assert ArmDifference(Interval(-0.03, -0.055, -0.005), 0.03, 0.03).sign == -1


def test_a_claim_needs_its_sign_on_every_axis() -> None:
    detected = of_sign(1, 0.001)
    assert claim(detected, []) == 1
    assert claim(detected, [of_sign(1), of_sign(1)]) == 1
    assert claim(detected, [of_sign(1), of_sign(-1)]) == 0
    assert claim(detected, [of_sign(0)]) == 0
    assert claim(of_sign(1), [of_sign(1, 0.001)]) == 0
    assert claim(of_sign(-1, 0.001), [of_sign(-1)]) == -1
