"""Bare letters: a word, an order of points or choices, or a product of variables.

Capitals side by side are a word (`ABC` is not `ACB`), so is what stands in `\\text{…}`. Lower-case letters are a product
(`ba` is `ab`, `zyx` is `xyz`) unless no product is written so: with an `o`, or five letters and more that read as a word.
Three or four of them with a vowel may be either; then two orders of the same letters are undecided (`cat`, `act`).
"""

import re

_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_QUOTED = re.compile(r"(?:\\text\{[^{}]*\}|[A-Za-z0-9.,;:'()/\s-])+")
_DATED = re.compile(
    r"(?!.*(?:sin|cos|tan|sec|csc|cot|log|ln|exp|sqrt|max|min|gcd|lcm|mod|base))(?:[A-Za-z]{3,}\.?\s+)+\d+(?:st|nd|rd|th)?(?:,?\s+\d+)?"
)
_LETTERS = re.compile(r"\(?\s*[A-Za-z](?:\s*[A-Za-z'.-])*\s*\)?")
_CLOCK = re.compile(r"0?(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?")
_NUMBER_WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = (
    {word: number for number, word in enumerate(_NUMBER_WORDS)}
    | {
        ten + word * (unit > 0): 20 + 10 * place + unit
        for place, ten in enumerate(_TENS)
        for unit, word in enumerate(_NUMBER_WORDS[:10])
    }
    | {"onehundred": 100, "hundred": 100}
)
_CAPITALS = re.compile(r"(?<![A-Za-z\\{])[A-Z]{2,}(?![A-Za-z])")
_NAMED_CONSTANTS = frozenset({"pi", "e", "i", "infinity", "inf", "oo"})
_ARTICLE = re.compile(
    r"^\s*(?:(?:an?|the)\s+(?=[A-Za-z]{2})|(?:option|choice|answer)\b\s*:?\s*(?:is\s+)?(?=\(?[A-J]\)?$))", re.I
)
_JOINED = re.compile(r"\s*,\s*and\b\s*|\s*[,;&]\s*|\s+and\s+")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)\b")
_MONTHS = frozenset(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
_VOWELS = frozenset("aeiou")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_WORD_LENGTH = 5


def spelling(text: str) -> str | None:
    """The letters and digits of an answer in words, case ignored: `\\text{(C)}` is `c`; None for mathematics."""
    if not is_words(text):
        return None
    return re.sub(r"[^\w:]|_", "", _ARTICLE.sub("", _TEXT.sub(r"\1", text))).casefold()


def is_words(text: str) -> bool:
    """Whether the answer consists of words: in `\\text{…}`, or bare letters."""
    if "\\text{" in text:
        return bool(_QUOTED.fullmatch(text)) and bool(re.search(r"[^\W\d_]", _TEXT.sub(r"\1", text)))
    if _DATED.fullmatch(text):
        return True
    return bool(_LETTERS.fullmatch(text)) and text.strip("() ") not in _NAMED_CONSTANTS


def is_product(text: str) -> bool:
    """Whether the words may as well be a product of variables: bare letters, none beside another capital."""
    bare = text.strip("() ")
    return (
        bool(re.fullmatch(r"(?:[A-Za-z]\s*)+", bare))
        and not re.search(r"[A-Z]\s*[A-Z]", bare)
        and not _is_sentence(bare)
    )


def same_letters(answer: str, gold: str) -> bool | None:
    """Whether two answers in words say the same; None where two orders of the same letters may be words or products."""
    one, other = spelling(answer), spelling(gold)
    if one == other or (_is_date(gold) and _parts(answer) == _parts(gold)):
        return True
    if _JOINED.search(gold) and sorted(_JOINED.split(_bare(answer))) == sorted(_JOINED.split(_bare(gold))):
        return None
    if not (is_product(answer) and is_product(gold)) or sorted(one or "") != sorted(other or ""):
        return False
    return _is_one_product(one or "", other or "")


def _bare(text: str) -> str:
    return re.sub(r"\s+", "", _JOINED.sub(",", _TEXT.sub(r"\1", text))).casefold()


def _parts(text: str) -> list[str]:
    """The words and numbers of a date, in alphabetical order: those of `20th of June` are those of `June 20`."""
    return sorted(re.findall(r"\d+|[a-z]{3,}", _ORDINAL.sub(r"\1", _TEXT.sub(r"\1", text)).casefold()))


def _is_date(text: str) -> bool:
    return bool(set(re.findall("[a-z]{3}", _TEXT.sub(r"\1", text).casefold())) & _MONTHS)


def same_capitals(answer: str, gold: str) -> bool:
    """Whether the same runs of capitals stand in two formulas, each forwards or backwards: AB · CD is not AC · BD."""
    return _runs(answer) == _runs(gold)


def _runs(text: str) -> list[str]:
    return sorted(min(run, run[::-1]) for run in _CAPITALS.findall(_TEXT.sub("", text)))


def _is_sentence(bare: str) -> bool:
    return any(len(word) >= 2 for word in bare.split()) and " " in bare


def _is_one_product(one: str, other: str) -> bool | None:
    if "o" in one:
        return False
    if len(one) < 3 or not _VOWELS & set(one) or set("xyz") & set(one):
        return True
    if any("".join(sorted(set(word))) == word and word in _ALPHABET for word in (one, other)):
        return True
    return False if len(one) >= _WORD_LENGTH else None


def same_time(answer: str, gold: str) -> bool | None:
    """Whether two times of day are the same, `7` and `7:00` too; None if neither says minutes. A ratio may look so."""
    one, other = _CLOCK.fullmatch(answer), _CLOCK.fullmatch(gold)
    if one is None or other is None or (one[2] is None and other[2] is None):
        return None
    return one.groups("00") == other.groups("00")


def as_number(text: str) -> str | None:
    """The number that a word spells, up to a hundred, in digits, or infinity; None for other words."""
    word = spelling(text) or ""
    return "\\infty" if word == "infinity" else str(_NUMBERS[word]) if word in _NUMBERS else None
