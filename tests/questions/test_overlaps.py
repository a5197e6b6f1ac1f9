"""Benchmark questions in training texts: planted whole and in passages they are found, and what only sounds alike is not."""

from itertools import pairwise

from prerl_spec.questions.overlaps import Benchmark, Overlap, find_overlaps

QUESTION = "alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa"
NAMES = QUESTION.split()
"""Sixteen words: four passages of 13."""


def found(training: list[str], benchmark: list[str]) -> list[Overlap]:
    return find_overlaps(training, Benchmark(benchmark))


def test_a_question_in_other_writing_is_the_same_question() -> None:
    (one,) = found(["something else", f"  {QUESTION.upper()} ?"], ["another", QUESTION])
    assert one == Overlap(training=1, benchmark=1, is_same=True, shared=4, passages=4)


def test_a_passage_of_thirteen_words_is_found_and_one_of_twelve_is_not() -> None:
    around = "Solve this: {} and show your work."
    (one,) = found([around.format(" ".join(NAMES[2:15]))], [QUESTION])
    assert (one.is_same, one.shared, one.passages) == (False, 1, 4)
    assert found([around.format(" ".join(NAMES[2:14]))], [QUESTION]) == []


def test_symbols_between_the_words_do_not_hide_a_passage() -> None:
    assert len(found([f"${' , '.join(NAMES[:13])}$"], [QUESTION])) == 1


def test_a_short_question_is_found_whole_only() -> None:
    assert [o.is_same for o in found(["What is $3+4$?"], ["what is 3 + 4"])] == [True]
    assert found(["What is 3 + 4 + 5?", "What is 3 - 4?"], ["What is 3 + 4?"]) == []


def test_the_wording_of_a_kind_counts_for_no_pair() -> None:
    wording = "where m and n are relatively prime positive integers find the sum of both"
    training = [f"The ratio of {a} and {b} is m/n {wording}." for a, b in pairwise(NAMES[:8])]
    benchmark = [
        f"A {a} has {b} as m/n {wording}. What else does the {a} of a {b} have on a day in {a}?"
        for a, b in pairwise(NAMES[8:])
    ]
    assert found(training, benchmark) == []
    # Where one benchmark question alone says it, nothing tells it from a copied passage.
    assert len(found(training, benchmark[:1])) == len(training)


def test_near_duplicates_on_both_sides_do_not_hide_each_other() -> None:
    training = [f"{QUESTION} quebec", f"{QUESTION} romeo"]
    benchmark = [f"{QUESTION} sierra", f"{QUESTION} tango"]
    pairs = {(o.training, o.benchmark): (o.shared, o.passages) for o in found(training, benchmark)}
    assert pairs == {(t, b): (4, 5) for t in (0, 1) for b in (0, 1)}


def test_an_instruction_around_every_question_is_no_overlap() -> None:
    instruction = "Solve the following problem step by step and end with the final answer in a box on a line of its own"
    training = [f"{instruction}: {n} + {n}?" for n in range(11)]
    benchmark = [f"{instruction}: {n} * {n}?" for n in range(20, 23)]
    assert found(training, benchmark) == []


def test_copies_of_one_training_question_are_one_question() -> None:
    # Eleven copies of a contaminated row are not the wording of a kind.
    assert len(found([f"{QUESTION} quebec"] * 11, [f"{QUESTION} sierra", f"other {QUESTION}"])) == 22


def test_clean_texts_share_nothing() -> None:
    reverse = " ".join(reversed(NAMES))
    assert found([reverse, "1+1?", ""], [QUESTION, "2+2?"]) == []
