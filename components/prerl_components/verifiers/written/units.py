"""The unit of an answer: `5\\text{ km}` is five of a measure that `5\\text{ m}` is not, and `7\\text{ million}` is not 7."""

import re
from dataclasses import dataclass, field
from fractions import Fraction

from prerl_components.verifiers.written.unit_table import (
    CASED_MAGNITUDES,
    EMPTY_WORDS,
    MAGNITUDES,
    MEASURES,
    PERCENT_WORDS,
    TURNING_WORDS,
)

_WORDS = r"\\text\{[^{}]*\}"
_RAISED = r"(?:\s*\^\s*(?:\{\s*-?\d\s*\}|-?\d))?"
_CURRENCY = r"\\\$|\$|[€£¥₹₽₩元]"
_TAIL = re.compile(
    rf"(?P<head>.*?[\w)\]}}!])(?P<tail>(?:\s*(?:{_WORDS}{_RAISED}|\\?%|\\?\$|\^\s*(?:\{{\s*\\circ\s*\}}|\\circ(?![A-Za-z]))\s*(?:[CF](?![A-Za-z]))?"
    rf"|\\degree(?![A-Za-z])s?|\\cdot(?=\s*\\text)|/(?=\s*\\text)|[^\x00-\x7f]))+)",
    re.DOTALL,
)
_MONEY_FIRST = re.compile(
    rf"(?P<sign>[-+]?)\s*(?P<unit>{_CURRENCY}|(?:USD|US|EUR|GBP|CNY|Rs\.?|\\text\{{\s*(?:USD|US|EUR|GBP|CNY)\s*\}})\s*(?:\\\$)?(?=\s*\d))\s*(?P<rest>[-+]?\s*[\d.\\({{].*)",
    re.DOTALL,
)
_BARE = re.compile(
    r"(?P<head>.*(?:[\d})]|\\pi(?![A-Za-z])))(?P<space>\s*)(?P<words>[A-Za-z][A-Za-z.']*(?:(?:\s*/\s*|\s+)[A-Za-z][A-Za-z.']*)*)(?P<power>\s*\^\s*\{?[23]\}?)?",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"\^\s*\{?\s*(?P<power>-?\d)\s*\}?|(?P<per>/)|(?P<word>[^\s/^*{}()\d,;:\-]+)(?P<digit>[23](?![\w.]))?"
)
_SIGNS = {"\\$": "dollar", "$": "dollar", "\\%": "percent", "%": "percent", "US": "dollar"}


@dataclass(frozen=True)
class Unit:
    """What follows a number: its measure, the nouns counted, the factor of words like `million`, and signs.

    `measure` holds (kind, exponent) pairs without zero exponents; `size` is that of the measure, 1 without one.
    """

    measure: tuple[tuple[str, int], ...] = ()
    size: Fraction = Fraction(1)
    magnitude: Fraction = Fraction(1)
    nouns: frozenset[str] = field(default_factory=frozenset)
    is_percent: bool = False
    is_undecided: bool = False


NO_UNIT = Unit()


def split_unit(text: str) -> tuple[str, Unit]:
    """The text without the unit around it, and the unit; `NO_UNIT` where there is none or it stands alone."""
    head, words = text, ""
    if (money := _MONEY_FIRST.fullmatch(head)) is not None:
        head, words = money["sign"] + money["rest"], _SIGNS.get(money["unit"].strip(), money["unit"])
    if (tail := _TAIL.fullmatch(head)) is not None and _is_quantity(tail["head"]):
        head, words = tail["head"].strip(), f"{words} {tail['tail']}"
    elif (bare := _BARE.fullmatch(head)) is not None and _names_a_unit(bare):
        head, words = bare["head"].strip(), f"{words} {bare['words']}{bare['power'] or ''}"
    return (head, _unit(words)) if words else (text, NO_UNIT)


def bare_letter_unit(text: str) -> bool:
    """Whether the text is a number and one letter that may be a unit or a variable: `5m`."""
    return bool(re.fullmatch(r"-?[\d.,]+\s*[mgshlL]", text))


def is_compound(text: str) -> bool:
    """Whether numbers with several units are joined: `5\\text{ ft }6`, which a product would read in any order."""
    return bool(re.search(r"\d\s*\\text\{[^{}]*\}\s*(?:\\text\{[^{}]*\}\s*)?\d", text))


def same_measure(answer: Unit, gold: Unit) -> bool | None:
    """Whether two units measure the same kind; True if either names none, None for two different nouns."""
    if answer.is_undecided or gold.is_undecided:
        return None
    if answer.measure and gold.measure:
        return answer.measure == gold.measure or {answer.measure, gold.measure} in _LOOSELY_EQUAL
    if answer.nouns and gold.nouns:
        return True if answer.nouns <= gold.nouns or gold.nouns <= answer.nouns else None
    if (answer.measure and gold.nouns) or (gold.measure and answer.nouns):
        return None
    return True


_DEGREE, _STERLING, _POUND = (("angle", 1),), (("sterling", 1),), (("mass", 1),)
_LOOSELY_EQUAL = ({_DEGREE, (("celsius", 1),)}, {_DEGREE, (("fahrenheit", 1),)}, {_STERLING, _POUND})
"""Degrees may be of temperature, pounds of money."""


def _is_quantity(head: str) -> bool:
    """Whether what stands before a unit can be measured: not a bare word such as the `June` of `June\\text{ 20}`."""
    return not re.fullmatch(r"[A-Za-z]{2,}|\\text\{[^{}]*\}", head.strip())


def _names_a_unit(bare: re.Match[str]) -> bool:
    """Whether bare letters after a number are words and not a product of variables."""
    words = re.findall(r"[A-Za-z]+", bare["words"].replace(".", ""))
    if len(words) == 1 and len(words[0]) == 1:
        return False
    if all(len(word) == 1 for word in words):
        return words == ["m", "s"] and "/" in bare["words"]
    known = [word for word in words if _is_known(word)]
    if bare["head"].endswith("\\pi"):
        return (len(words[0]) > 3 and _is_known(words[0])) or words[0].lower() in _AFTER_CONSTANTS
    if bare["space"] == "" and len(words) == 1:
        return bool(known) and (
            len(words[0]) > 2 or words[0].lower() not in {"in", "as", "mi", "ma", "pa", "mo", "rs", "ha", "pt"}
        )
    spelled = [word for word in words if len(word) >= 4 and re.search(r"[aeiouy]", word.lower())]
    return bool(known or spelled) and all(len(word) > 1 or _is_known(word) for word in words)


_AFTER_CONSTANTS = frozenset({"unit", "units", "cm", "mm", "km", "ft", "sq"})
"""Short words after π that are no product of variables: `2\\pi rh` and `2\\pi hr` are."""


def _is_known(word: str) -> bool:
    low = word.lower()
    return (
        low in MEASURES
        or _magnitude(word) is not None
        or low in PERCENT_WORDS
        or low in ("per", "square", "cubic", "sq", "cu")
    )


def _magnitude(word: str) -> Fraction | None:
    if word in CASED_MAGNITUDES:
        return CASED_MAGNITUDES[word]
    low = word.lower()
    return MAGNITUDES.get(low, MAGNITUDES.get(low.removesuffix("s")))


def _unit(words: str) -> Unit:
    """The unit that words and signs say: `\\text{ km/h}`, `million dollars`, `\\text{cm}^3`, `\\%`, `^\\circ`."""
    plain = re.sub(r"\\text\{([^{}]*)\}", r" \1 ", words).replace("\\cdot", " ")
    plain = re.sub(r"\^\s*\{?\s*\\circ\s*\}?\s*C(?![a-z])", " celsius ", plain)
    plain = re.sub(r"\^\s*\{?\s*\\circ\s*\}?\s*F(?![a-z])", " fahrenheit ", plain)
    plain = re.sub(r"\^\s*\{?\s*\\circ\s*\}?|\\degree", " degree ", plain)
    plain = re.sub(r"\b(degrees?)\s+(?:C\b|celsius)", " celsius ", plain, flags=re.I)
    plain = re.sub(r"\b(degrees?)\s+(?:F\b|fahrenheit)", " fahrenheit ", plain, flags=re.I)
    plain = re.sub(r"\bper\s*cent\b", " percent ", plain, flags=re.I)
    plain = re.sub(r"\b([ap])\.\s*m\b\.?", r" \1m ", plain, flags=re.I)
    plain = re.sub(r"\blight[ -]years?\b", " lightyear ", plain, flags=re.I)
    for sign in ("\\$", "$", "\\%", "%"):
        plain = plain.replace(sign, f" {_SIGNS[sign]} ")
    return _read(plain.replace(".", " "))


def _read(plain: str) -> Unit:
    kinds: dict[str, int] = {}
    size, magnitude, nouns = Fraction(1), Fraction(1), set[str]()
    is_percent = is_undecided = False
    sign, power, last = 1, 1, Fraction(1)
    last_kinds: tuple[tuple[str, int], ...] = ()
    for token in _TOKEN.finditer(plain):
        if token["per"]:
            sign = -1
            continue
        if token["power"]:
            extra = int(token["power"]) - 1
            for kind, exponent in last_kinds:
                kinds[kind] = kinds.get(kind, 0) + extra * exponent
            size *= last**extra
            continue
        word = token["word"]
        low = word.lower().strip("'’\"")
        factor = _magnitude(word)
        if low == "per":
            sign = -1
        elif low in ("square", "sq"):
            power = 2
        elif low in ("cubic", "cu"):
            power = 3
        elif low in PERCENT_WORDS:
            is_percent = True
        elif low in TURNING_WORDS:
            is_undecided = True
        elif factor is not None and sign == 1:
            magnitude *= factor
        elif low in MEASURES:
            measure = MEASURES[low]
            power = int(token["digit"]) if token["digit"] else power
            last_kinds = tuple((kind, exponent * sign) for kind, exponent in measure.kinds)
            last = measure.size**sign
            for kind, exponent in last_kinds:
                kinds[kind] = kinds.get(kind, 0) + exponent * power
            size *= last**power
            sign, power = 1, 1
        elif low and low not in EMPTY_WORDS:
            nouns.add(low.removesuffix("s"))
    measure_of = tuple(sorted((kind, exponent) for kind, exponent in kinds.items() if exponent))
    return Unit(measure_of, size, magnitude, frozenset(nouns), is_percent, is_undecided)
