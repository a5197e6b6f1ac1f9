"""Rows that ask one question: found by the hash of their wording, without comparing any two texts."""

from collections.abc import Iterable

from prerl_spec.questions.wording import question_hash


def repeated(questions: Iterable[str | None]) -> list[list[int]]:
    """The places of each question that is asked more than once, in order of first appearance; None asks nothing."""
    places: dict[bytes, list[int]] = {}
    for place, question in enumerate(questions):
        if question is not None:
            places.setdefault(question_hash(question), []).append(place)
    return [group for group in places.values() if len(group) > 1]
