"""Numbers written in a base: `1011_2`, `{A5}_{11}`, `203_{\\text{seven}}`, `1011\\text{ base }2`.

The digits are what is asked for: 11 is not an answer to 1011_2, 1011 is (the question names the base), 1011_3 is not.
"""

import re
from typing import NamedTuple

_WRITTEN = re.compile(
    r"(?P<sign>[-+]?)\s*(?:[({]|\\text\{)*\s*(?P<digits>(?=[A-Za-z]*\d)[\dA-Za-z]+(?:\.[\dA-Za-z]+)?)\s*[)}]*\s*"
    r"(?:_\s*(?:\{\s*(?P<braced>.*)\s*\}|(?P<digit>\d{1,2}))|(?:\\text\{\s*\(?|\s)\s*(?:in\s+)?[bB]ase[\s-]*\}?\s*(?P<said>\w+)\s*\)?\s*\}?)"
)
_CAPITAL_DIGITS = re.compile(r"\\text\{\s*([\dA-Z]+)\s*\}(?=[\dA-Z]|\s*_|\\text)")
_WORDS = {
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "binary": 2,
    "octal": 8,
    "decimal": 10,
    "hex": 16,
    "hexadecimal": 16,
}
_PLAIN = re.compile(r"[-+]?[\dA-Z]*\d[\dA-Z]*(?:\.[\dA-Z]+)?")


class Based(NamedTuple):
    """The digits, with their sign and without leading zeros, and the base; None for digits without one."""

    digits: str
    base: int | None


def based(text: str) -> Based | None:
    """The number in a base that the text spells; None where no base is written, or none that is one."""
    if "_" not in text and "ase" not in text:
        return None
    found = _WRITTEN.fullmatch(_CAPITAL_DIGITS.sub(r"\1", text))
    if found is None:
        return None
    name = re.sub(r"\\text|[(){}\s-]|base", "", (found["braced"] or found["digit"] or found["said"] or "").lower())
    base = int(name) if name.isdigit() else _WORDS.get(name)
    if (
        base is None
        or not 2 <= base <= 36
        or any(int(letter, 36) >= base for letter in found["digits"] if letter.isalpha())
    ):
        return None
    return Based(_canonical(found["sign"] + found["digits"]), base)


def digits_alone(text: str) -> Based | None:
    """Digits without a base; None for anything else."""
    return Based(_canonical(text), None) if _PLAIN.fullmatch(text) else None


def same_digits(answer: Based, gold: Based) -> bool:
    """Whether the digits are the same, and the bases where both are written."""
    return answer.digits == gold.digits and (answer.base is None or gold.base is None or answer.base == gold.base)


def _canonical(digits: str) -> str:
    sign = "-" if digits.startswith("-") else ""
    digits = digits.upper()
    return sign + (digits.lstrip("+-").lstrip("0") or "0")
