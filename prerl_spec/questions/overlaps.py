"""Benchmark questions that training texts contain: whole, or in a passage of 13 words, the unit of GPT-3's appendix C.

Words and numbers count, symbols do not. A passage in several questions on both sides is the wording of a kind ("where m
and n are relatively prime positive integers"): it counts for a pair only that shares half of the question, and not at all
above 10 training questions, where it is the instruction around every question. GPT-3 passes over such passages as well. A
question of fewer than 13 words is found whole only.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prerl_spec.questions.wording import question_hash, words

PASSAGE_WORDS = 13
COMMON_QUESTIONS = 10
"""Different training questions above which a passage of several benchmark questions counts for no pair."""
MOST_OF_IT = 0.5
"""Share of a question's passages from which wordings of a kind count as well: near-duplicates stand on both sides."""


@dataclass(frozen=True)
class Overlap:
    """A training text and a benchmark question by their places: `Overlap(7, 2, is_same=False, shared=3, passages=41)`.

    `shared` of the question's `passages` (different runs of 13 words) stand in the training text.
    """

    training: int
    benchmark: int
    is_same: bool
    shared: int
    passages: int


class Benchmark:
    """The questions of benchmarks, by their whole wording and by each passage."""

    def __init__(self, questions: Sequence[str]) -> None:
        self.hashes = [question_hash(question) for question in questions]
        self.places: dict[bytes, list[int]] = {}
        self.passages: dict[str, list[int]] = {}
        self.sizes: list[int] = []
        for place, question in enumerate(questions):
            self.places.setdefault(self.hashes[place], []).append(place)
            own = set(_passages(question))
            self.sizes.append(len(own))
            for passage in own:
                self.passages.setdefault(passage, []).append(place)

    def has_in_several(self, passage: str) -> bool:
        return len({self.hashes[place] for place in self.passages[passage]}) > 1


def find_overlaps(training: Iterable[str], benchmark: Benchmark) -> list[Overlap]:
    """Every pair of one question or with a shared passage, in the order of the training texts, then of the benchmark."""
    same: set[tuple[int, int]] = set()
    found: dict[str, list[int]] = {}
    hashes: dict[int, bytes] = {}
    for place, text in enumerate(training):
        hashes[place] = question_hash(text)
        same.update((place, of) for of in benchmark.places.get(hashes[place], ()))
        for passage in {p for p in _passages(text) if p in benchmark.passages}:
            found.setdefault(passage, []).append(place)
    counts = _shared(found, hashes, benchmark)
    return [
        Overlap(*pair, pair in same, counts[pair], benchmark.sizes[pair[1]]) for pair in sorted({*same, *counts.keys()})
    ]


def _shared(
    found: Mapping[str, Sequence[int]], hashes: Mapping[int, bytes], benchmark: Benchmark
) -> Counter[tuple[int, int]]:
    """The number of passages that count, for each pair that has one."""
    telling, all_of_it = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    for passage, places in found.items():
        pairs = [(place, of) for place in places for of in benchmark.passages[passage]]
        different = len({hashes[place] for place in places})
        if different > 1 and benchmark.has_in_several(passage):
            if different <= COMMON_QUESTIONS:
                all_of_it.update(pairs)
            continue
        telling.update(pairs)
        all_of_it.update(pairs)
    near = {pair: n for pair, n in all_of_it.items() if n >= MOST_OF_IT * benchmark.sizes[pair[1]]}
    return Counter({**telling, **near})


def _passages(text: str) -> Iterator[str]:
    """Every run of 13 words of a text."""
    of_text = words(text)
    return (" ".join(of_text[n : n + PASSAGE_WORDS]) for n in range(len(of_text) - PASSAGE_WORDS + 1))
