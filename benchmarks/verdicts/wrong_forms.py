"""Answers that must be wrong, each one step away from a gold answer.

Each form maps a gold answer and a seeded source of chance to a pair (gold, answer), or to None where it does not apply.
Kinds that the public sets hold too few of (units, words, letters, times) are made from a gold's number.
"""

import random
import re
from collections.abc import Callable
from fractions import Fraction

from benchmarks.verdicts.golds import (
    BASED,
    COMPLEX,
    DECIMAL,
    INTEGER,
    INTERVAL,
    PAIR,
    RAY,
    elements,
    exact_decimal,
    fraction,
    joined,
    latex,
    terms,
)

Form = Callable[[str, random.Random], tuple[str, str] | None]

MAGNITUDES = (" thousand", " million", " billion", " dozen", " hundred", "k", " trillion")
OTHER_UNITS = (("m", "km"), ("cm", "m"), ("minutes", "hours"), ("kg", "g"), ("feet", "inches"), ("m", "m^2"))


def _number(gold: str, new: str) -> Form:
    """For positive integers from 2: both texts with {0} for the integer."""
    return lambda text, chance: (gold.format(text), new.format(text)) if re.fullmatch(r"[2-9]|[1-9]\d+", text) else None


def _of(pattern: re.Pattern[str], change: Callable[[re.Match[str]], str | None]) -> Form:
    """For golds that match: what `change` makes of the match, unless it is the gold itself."""

    def form(gold: str, chance: random.Random) -> tuple[str, str] | None:
        match = pattern.fullmatch(gold)
        answer = None if match is None else change(match)
        return None if answer is None or answer == gold else (gold, answer)

    return form


def _digit(gold: str, chance: random.Random) -> tuple[str, str] | None:
    if not INTEGER.fullmatch(gold):
        return None
    places = [i for i, c in enumerate(gold) if c.isdigit()]
    place = chance.choice(places)
    return gold, gold[:place] + str((int(gold[place]) + chance.choice((1, 9))) % 10) + gold[place + 1 :]


def _sign(gold: str, chance: random.Random) -> tuple[str, str] | None:
    if (fraction(gold) is None and not INTEGER.fullmatch(gold) and not DECIMAL.fullmatch(gold)) or not re.search(
        "[1-9]", gold
    ):
        return None
    value = fraction(gold)
    if value is not None:
        return gold, latex(-value)
    return gold, gold[1:] if gold.startswith("-") else "-" + gold


def _swapped(gold: str, chance: random.Random) -> tuple[str, str] | None:
    value = fraction(gold)
    return None if value is None or value == 0 or abs(value) == 1 else (gold, latex(1 / value))


def _rounded(places: int) -> Form:
    def form(gold: str, chance: random.Random) -> tuple[str, str] | None:
        value = fraction(gold)
        if value is None or 10**30 % value.denominator == 0:
            return None
        return gold, f"{float(value):.{places}f}"

    return form


def _big_fraction(gold: str, chance: random.Random) -> tuple[str, str] | None:
    number = chance.randrange(10**9, 10**12)
    return (rf"\frac{{1}}{{{number}}}", rf"\frac{{1}}{{{number + 1}}}") if INTEGER.fullmatch(gold) else None


def _power(gold_way: str, way: str) -> Form:
    """For integers from 30 to 2000, as an exponent."""

    def form(gold: str, chance: random.Random) -> tuple[str, str] | None:
        if not INTEGER.fullmatch(gold) or not 30 <= int(gold) <= 2000:
            return None
        return gold_way.format(gold), way.format(int(gold) + 1)

    return form


def _one_exponent(gold: str, chance: random.Random) -> tuple[str, str] | None:
    match = re.search(r"(?<=[a-z])\^\{?(\d+)\}?", gold)
    if match is None or "=" in gold:
        return None
    return gold, gold[: match.start()] + f"^{{{int(match[1]) + 1}}}" + gold[match.end() :]


def _one_term(change: Callable[[str], str | None]) -> Form:
    def form(gold: str, chance: random.Random) -> tuple[str, str] | None:
        found = terms(gold)
        if found is None or len(found) < 2:
            return None
        place = chance.randrange(len(found))
        new = change(found[place])
        return None if new is None else (gold, joined([*found[:place], new, *found[place + 1 :]]))

    return form


def _list(change: Callable[[list[str]], list[str] | None], gold_way: str = "…", way: str = "…") -> Form:
    def form(gold: str, chance: random.Random) -> tuple[str, str] | None:
        found = elements(gold)
        answer = None if found is None else change(found)
        if found is None or answer is None:
            return None
        return gold_way.replace("…", ",".join(found)), way.replace("…", ",".join(answer))

    return form


def _multiplicity(gold: str, chance: random.Random) -> tuple[str, str] | None:
    found = elements(gold)
    if found is None or len(found) != 2:
        return None
    one, two = found
    return f"{one},{one},{two}", f"{one},{two},{two}"


def _pair_by_chance(gold_way: str, way: str, pairs: tuple[tuple[str, str], ...]) -> Form:
    """For positive integers: both texts with {0} for the integer, {1} and {2} for one of the pairs, either way round."""

    def form(gold: str, chance: random.Random) -> tuple[str, str] | None:
        if not re.fullmatch(r"[1-9]\d*", gold):
            return None
        one, two = chance.choice(pairs)
        if chance.random() < 0.5:
            one, two = two, one
        return gold_way.format(gold, one), way.format(gold, two)

    return form


def _magnitude(way: str) -> Form:
    def form(gold: str, chance: random.Random) -> tuple[str, str] | None:
        if not re.fullmatch(r"[1-9]\d*", gold):
            return None
        return gold, way.format(gold, chance.choice(MAGNITUDES))

    return form


def _letters(gold: str, chance: random.Random) -> tuple[str, str] | None:
    if not INTEGER.fullmatch(gold):
        return None
    letters = chance.sample("ABCDEFGHKLMPQRSTUVWXYZ", chance.choice((2, 3, 4)))
    return "".join(letters), "".join([*letters[1:], letters[0]])


def _time(gold: str, chance: random.Random) -> tuple[str, str] | None:
    if not INTEGER.fullmatch(gold):
        return None
    hour, minute = chance.randrange(1, 12), chance.randrange(10, 59)
    return f"{hour}:{minute}", f"{hour}:{minute + 1}"


def _half_day(gold: str, chance: random.Random) -> tuple[str, str] | None:
    if not INTEGER.fullmatch(gold):
        return None
    time = f"{chance.randrange(1, 12)}:{chance.randrange(10, 60)}"
    one, two = chance.choice(((r"\text{ AM}", r"\text{ PM}"), (r"\text{ p.m.}", r"\text{ a.m.}")))
    return time + one, time + two


def _percent(factor: Fraction) -> Form:
    def form(gold: str, chance: random.Random) -> tuple[str, str] | None:
        if not (INTEGER.fullmatch(gold) or DECIMAL.fullmatch(gold)) or gold.startswith("-") or Fraction(gold) == 0:
            return None
        text = exact_decimal(Fraction(gold) * factor)
        return None if text is None else (gold + r"\%", text + r"\%")

    return form


def _other_end(end: str) -> str:
    return {"(": "[", ")": "]", "[": "(", "]": ")"}[end]


def _interval(change: Callable[[re.Match[str]], str]) -> Form:
    return _of(INTERVAL, lambda m: None if m[1] + m[4] == "()" else change(m))


def _matrix(gold: str, chance: random.Random) -> tuple[str, str] | None:
    match = re.fullmatch(r"(\\begin\{pmatrix\})(-?\d+)(\D.*)", gold, re.DOTALL)
    return None if match is None else (gold, f"{match[1]}{int(match[2]) + 1}{match[3]}")


def _replaced(old: str, new: str) -> Form:
    return lambda gold, chance: (gold, gold.replace(old, new)) if old in gold else None


WRONG_FORMS: dict[str, Form] = {
    "one digit ± 1": _digit,
    "digit appended": _number("{0}", "{0}0"),
    "sign flipped": _sign,
    "numerator and denominator swapped": _swapped,
    "decimal cut at 2 places": _rounded(2),
    "decimal cut at 3 places": _rounded(3),
    "decimal cut at 8 places": _rounded(8),
    "1/n, n ± 1, n > 10^9": _big_fraction,
    "thousands group of 2": _of(re.compile(r"(\d{1,3})(\d{2})"), lambda m: f"{m[1]},{m[2]}"),
    "thousands as a decimal": _of(re.compile(r"(\d{1,3}),(\d{3})"), lambda m: f"{m[1]}.{m[2]}"),
    "2^n, n + 1": _power("2^{{{0}}}", "2^{{{0}}}"),
    "2^{-n}, n + 1": _power("2^{{-{0}}}", "2^{{-{0}}}"),
    "1/n!, n + 1": _power(r"\frac{{1}}{{{0}!}}", r"\frac{{1}}{{{0}!}}"),
    "exponent of a letter + 1": _one_exponent,
    "a term's sign": _one_term(lambda term: ("-" if term[0] == "+" else "+") + term[1:]),
    "a term dropped": _one_term(lambda term: ""),
    "a coefficient ten times": _one_term(
        lambda term: re.sub(r"^([-+]\d+)", r"\g<1>0", term) if re.match(r"[-+]\d", term) else None
    ),
    "tuple swapped": _of(PAIR, lambda m: f"({m[2]},{m[1]})"),
    "tuple: an entry dropped": _of(PAIR, lambda m: m[1]),
    "tuple: an entry more": _of(PAIR, lambda m: f"({m[1]},{m[2]},0)"),
    "tuple as a set": _of(PAIR, lambda m: rf"\{{{m[1]},{m[2]}\}}" if m[1] != m[2] else None),
    "set as a tuple": _list(lambda found: found, r"\{…\}", "(…)"),
    "list: an element dropped": _list(lambda found: found[1:]),
    "list: an element more": _list(lambda found: [*found, "77"]),
    "list: an element for another": _list(lambda found: [found[0]] * len(found)),
    "list: an element changed": _list(lambda found: ["77", *found[1:]]),
    "list: multiplicity": _multiplicity,
    r"\pm for one": _number(r"\pm {0}", "{0}"),
    r"one for \pm": _number("{0}", r"\pm {0}"),
    "base changed": _of(BASED, lambda m: f"{m[1]}_{int(m[2]) + 1}" if len(m[1]) > 1 else None),
    "base changed, braces": _of(BASED, lambda m: f"{m[1]}_{{{int(m[2]) + 1}}}" if len(m[1]) > 1 else None),
    "base ten": _of(BASED, lambda m: f"{m[1]}_{{10}}" if len(m[1]) > 1 else None),
    "based digit changed": _of(BASED, lambda m: f"{m[1][:-1]}{(int(m[1][-1]) + 1) % int(m[2])}_{m[2]}"),
    "another unit": _pair_by_chance(r"{0}\text{{ {1}}}", r"{0}\text{{ {2}}}".replace("{2}", "{1}"), OTHER_UNITS),
    "cents for dollars": _number(r"\${0}", r"{0}\text{{ cents}}"),
    "degrees F for C": _number(r"{0}^\circ\text{{C}}", r"{0}^\circ\text{{F}}"),
    "AM and PM": _half_day,
    "minute + 1": _time,
    "magnitude word": _magnitude(r"{0}\text{{{1}}}"),
    "magnitude word, bare": _magnitude("{0}{1}"),
    r"percent × 10": _percent(Fraction(10)),
    r"percent ÷ 10": _percent(Fraction(1, 10)),
    r"percent: hundredth with the sign": _percent(Fraction(1, 100)),
    "2x = value": _number("{0}", "2x={0}"),
    "x^2 = value": _number("{0}", "x^2={0}"),
    "x + 1 = value": _number("{0}", "x+1={0}"),
    "value = 2x": _number("{0}", "{0}=2x"),
    "a sum that is not the value": _number("{0}", "{0}+1={0}"),
    "value < x": _number("{0}", "x>{0}"),
    "not value": _number("{0}", r"\text{{not }}{0}"),
    "value and a letter": _number("{0}", "{0}a"),
    "value or another": _number("{0}", r"{0}\text{{ or }}1"),
    "open and closed: left": _interval(lambda m: f"{_other_end(m[1])}{m[2]},{m[3]}{m[4]}"),
    "open and closed: right": _interval(lambda m: f"{m[1]}{m[2]},{m[3]}{_other_end(m[4])}"),
    "open and closed: ray": _of(RAY, lambda m: rf"{_other_end(m[1])}{m[2]},\infty)"),
    "interval: an end moved": _interval(lambda m: f"{m[1]}{m[2]},{int(m[3]) + 1}{m[4]}"),
    "ray the other way": _of(RAY, lambda m: rf"(-\infty,{m[2]}{']' if m[1] == '[' else ')'}"),
    "inequality flipped": _number(r"x \ge {0}", r"x \le {0}"),
    "inequality: strict": _number(r"x \ge {0}", "x > {0}"),
    "interval as an open inequality": _interval(lambda m: f"{m[2]}<x<{m[3]}" if m[1] + m[4] != "()" else m[0]),
    r"\pi dropped": _of(re.compile(r"(\d+)\\pi"), lambda m: m[1]),
    r"\pi added": _number("{0}", r"{0}\pi"),
    "radicand + 1": _of(re.compile(r"(\d*\\sqrt\{)(\d+)\}"), lambda m: f"{m[1]}{int(m[2]) + 1}}}"),
    "root dropped": _of(
        re.compile(r"(\d*)\\sqrt\{(\d+)\}"), lambda m: m[1] + m[2] if not m[1] else f"{m[1]} \\cdot {m[2]}"
    ),
    "cube root for square root": _of(re.compile(r"(\d*)\\sqrt(\{\d+\})"), lambda m: f"{m[1]}\\sqrt[3]{m[2]}"),
    "conjugate": _of(COMPLEX, lambda m: f"{m[1]}{'-' if m[2] == '+' else '+'}{m[3]}i"),
    "parts of a complex number swapped": _of(
        COMPLEX,
        lambda m: (
            None
            if m[2] + m[3] == m[1] or m[2] + m[3] == "+" + m[1] or not m[3]
            else f"{int(m[2] + m[3])}{int(m[1]):+d}i"
        ),
    ),
    "a matrix entry + 1": _matrix,
    "letters permuted": _letters,
    "sin for cos": _replaced(r"\cos", r"\sin"),
    "repeating decimal, digit + 1": _of(
        re.compile(r"\\frac\{(\d+)\}\{9\}"), lambda m: rf"{int(m[1]) // 9}.\overline{{{(int(m[1]) + 1) % 9}}}"
    ),
    "ratio turned": _number("{0}:1", "1:{0}"),
}
