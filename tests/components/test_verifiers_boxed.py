"""The last box counts, and its braces are matched as LaTeX matches them."""

import pytest
from prerl_components.verifiers.boxed import boxed_answer, last_boxed


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so \\boxed{5}.", "5"),
        ("\\boxed{4} no, \\boxed{5}", "5"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{\\{1,2\\}}", "\\{1,2\\}"),
        ("\\boxed{\\left\\{x\\right.}", "\\left\\{x\\right."),
        ("\\boxed {7}", "7"),
        ("\\boxed{ 7 }", "7"),
        ("\\boxed{}", ""),
        ("\\boxed{\\boxed{5}}", "5"),
        ("\\boxed{a\\\\}b}", "a\\\\"),
        ("5", None),
        ("", None),
        ("\\boxed", None),
        ("\\boxed 5", "5"),
        ("so \\boxed 42.", "42"),
        ("$\\boxed 4$", "4"),
        ("\\boxed4", "4"),
        ("\\boxed \\frac{1}{2}, since", "\\frac{1}{2}"),
        ("\\boxed{4} or \\boxed .", None),
        ("\\boxedeq 5", None),
        ("\\boxed{5", None),
        ("\\boxed{5} and \\boxed{6", None),
        ("\\boxed{5\\}", None),
    ],
)
def test_the_last_box_is_found_by_matching_braces(text: str, answer: str | None) -> None:
    assert last_boxed(text) == answer


def test_a_box_inside_the_thinking_does_not_count() -> None:
    assert boxed_answer("<think>\\boxed{4}</think> I give up.") is None
    assert boxed_answer("<think>\\boxed{4}</think> \\boxed{5}") == "5"
    assert boxed_answer("\\boxed{4} <think> hm") == "4"
