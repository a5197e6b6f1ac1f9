"""Repeated questions are found by their wording; rows without a question repeat nothing."""

from prerl_spec.questions.repeats import repeated


def test_the_places_of_each_repeated_question_in_order() -> None:
    asked = ["1+1?", "2 + 2?", None, "1 + 1 ?", "$2+2$?", "3+3?", None, "1+1"]
    assert repeated(asked) == [[0, 3, 7], [1, 4]]


def test_different_questions_are_no_repeats() -> None:
    assert repeated(f"{n}+1?" for n in range(100)) == []
