"""Claims: detected after Holm, and of one sign on every axis."""

from prerl_spec.statistics.claims import ArmDifference, arm_differences, claim
from prerl_spec.statistics.intervals import Interval
from prerl_spec.statistics.seeds import seed_interval, t_p_value

CLEAR = [0.05, 0.06, 0.055, 0.052]
FAINT = [0.02, 0.05, 0.001, 0.04]


def test_a_second_arm_raises_the_first_ones_p_value() -> None:
    alone = arm_differences({"dsrl": CLEAR})["dsrl"]
    beside = arm_differences({"dsrl": CLEAR, "null": FAINT})
    assert alone.adjusted_p == alone.p_value == t_p_value(CLEAR)
    assert beside["dsrl"].adjusted_p == 2 * t_p_value(CLEAR)
    assert beside["null"].adjusted_p == t_p_value(FAINT)
    assert beside["null"].interval == seed_interval(FAINT)


def test_what_holm_does_not_let_pass_is_no_difference() -> None:
    faint = [0.02, 0.05, 0.012, 0.045]
    assert t_p_value(faint) < 0.05 < 2 * t_p_value(faint)
    assert arm_differences({"one": faint})["one"].sign == 1
    assert {name: found.sign for name, found in arm_differences({"one": faint, "two": faint}).items()} == {
        "one": 0,
        "two": 0,
    }


def test_a_worse_arm_is_detected_as_worse() -> None:
    assert arm_differences({"psr": [-d for d in CLEAR]})["psr"].sign == -1


def of_sign(sign: int, p_value: float = 0.5) -> ArmDifference:
    return ArmDifference(Interval(0.01 * sign, -1.0, 1.0), p_value, p_value)


def test_a_claim_needs_its_sign_on_every_axis() -> None:
    detected = of_sign(1, 0.001)
    assert claim(detected, []) == 1
    assert claim(detected, [of_sign(1), of_sign(1)]) == 1
    assert claim(detected, [of_sign(1), of_sign(-1)]) == 0
    assert claim(detected, [of_sign(0)]) == 0
    assert claim(of_sign(1), [of_sign(1, 0.001)]) == 0
    assert claim(of_sign(-1, 0.001), [of_sign(-1)]) == -1
