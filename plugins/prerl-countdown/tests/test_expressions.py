"""The parser is exact, rejects everything but arithmetic, and is always fast."""

import random
from fractions import Fraction

import pytest

from prerl_countdown.expressions import MAX_NESTING, Unreadable, work_out


@pytest.mark.parametrize(
    ("text", "value", "numbers"),
    [
        ("7", 7, (7,)),
        ("1+2*3", 7, (1, 2, 3)),
        ("(1+2)*3", 9, (1, 2, 3)),
        ("8-3-2", 3, (8, 3, 2)),
        ("8/4/2", 1, (8, 4, 2)),
        (" 8 ÷ ( 3 − 8 ÷ 3 ) ", 24, (8, 3, 8, 3)),
        ("[1 + 2] × 3", 9, (1, 2, 3)),
        ("1/3", Fraction(1, 3), (1, 3)),
    ],
)
def test_expressions_are_evaluated_exactly(text: str, value: Fraction, numbers: tuple[int, ...]) -> None:
    worked = work_out(text)
    assert worked.value == value
    assert worked.numbers == numbers


@pytest.mark.parametrize("text", ["1/0", "5/(3-3)", "1/0+2", "(4/(2-2))*0"])
def test_a_division_by_zero_has_no_value(text: str) -> None:
    assert work_out(text).value is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "+",
        "1+",
        "(1",
        "1)",
        "1 2",
        "-3",
        "2**3",
        "1.5",
        "1e9",
        "x",
        "()",
        "3!",
        "16=16",
        "__import__('os')",
        "٣+1",
    ],
)
def test_anything_else_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        work_out(text)


@pytest.mark.parametrize(
    "text", ["(" * 150, "1+" * 150, "9" * 20, "(" * (MAX_NESTING + 1) + "1" + ")" * (MAX_NESTING + 1)]
)
def test_an_expression_that_could_be_slow_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        work_out(text)


def test_random_expressions_agree_with_fractions_computed_by_hand() -> None:
    draws = random.Random(4)

    def made(depth: int) -> tuple[str, Fraction | None]:
        if depth == 0:
            number = draws.randint(1, 12)
            return str(number), Fraction(number)
        (left_text, left), (right_text, right) = made(depth - 1), made(draws.randrange(depth))
        sign = draws.choice("+-*/")
        text = f"({left_text}{sign}{right_text})"
        if left is None or right is None or (sign == "/" and right == 0):
            return text, None
        return text, {"+": left + right, "-": left - right, "*": left * right}.get(
            sign
        ) if sign != "/" else left / right

    for _ in range(500):
        text, value = made(draws.randint(1, 4))
        assert work_out(text).value == value, text
