"""The wording of a question: what is dropped makes no difference to what is asked, and what stays does."""

import pytest

from prerl_spec.questions.wording import is_blank, question_hash, tokens, words


def test_the_tokens_of_a_question_by_hand() -> None:
    assert tokens("Find $x^2+1{,}000$.") == ["find", "x", "^", "2", "+", "1000"]
    assert words("Find $x^2+1{,}000$.") == ["find", "x", "2", "1000"]
    assert tokens(r"\dfrac{1}{2}\text{ cm}, 5\%") == ["\\", "frac", "{", "1", "}", "{", "2", "}", "cm", "5", "%"]
    assert tokens(r"1 \\ 2") == ["1", "\\", "\\", "2"]


@pytest.mark.parametrize(
    "other",
    [
        "What  is\n3 + 4?",
        "what is 3+4",
        "What is $3+4$?",
        r"What is \(3\,+\,4\)?",
        r"What is \[3 \quad + 4\]",
        "What is 3\u00a0+\u20094?",
        "What is 3 \u200b+ 4?",
        "What is \uff13+4 ?",
        '"What is 3 + 4?"',
    ],
)
def test_spacing_case_layout_and_punctuation_make_no_other_question(other: str) -> None:
    assert question_hash(other) == question_hash("What is 3 + 4?")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 3 + 4?", "What is 3 - 4?"),
        ("What is 34?", "What is 3 4?"),
        ("What is 3.5?", "What is 35?"),
        ("What is (2+3)*4?", "What is 2+(3*4)?"),
        ("What is 5!?", "What is 5?"),
        (r"What is \frac{1}{23}?", r"What is \frac{12}{3}?"),
        ("What is x^2?", "What is x_2?"),
        ("Is 3 < 4?", "Is 3 > 4?"),
        ("...", "???"),
    ],
)
def test_another_number_symbol_or_bracket_makes_another_question(one: str, other: str) -> None:
    assert question_hash(one) != question_hash(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"1,000 apples", "1000 apples"),
        (r"1{,}000 apples", "1000 apples"),
        (r"1,\!000 apples", "1000 apples"),
        (r"\left( x \right)", "(x)"),
        (r"\tfrac12", r"\frac12"),
        ("2\u22121", "2-1"),
        ("the point (2,5)", "the point (2, 5)"),
        (r"costs \$5", "costs $5"),
    ],
)
def test_two_ways_of_writing_are_one_question(one: str, other: str) -> None:
    assert question_hash(one) == question_hash(other)


def test_half_of_a_surrogate_pair_can_be_hashed() -> None:
    assert question_hash("x\ud83d") != question_hash("x")


def test_a_question_of_invisible_characters_is_blank() -> None:
    assert is_blank(" \u200b\ufeff\n")
    assert not is_blank("0")
