"""Other spellings of a gold answer that must stay right.

Each form maps a gold answer to a pair (gold, answer), or to None where it does not apply. A form about units, percent or
degrees first gives the gold its sign: the public sets hold bare numbers only.
"""

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
    SEPARATED,
    elements,
    exact_decimal,
    fraction,
    joined,
    latex,
    terms,
)

Form = Callable[[str], tuple[str, str] | None]


def _of(pattern: re.Pattern[str], answer: str, gold: str = "{0}") -> Form:
    """For golds that match: both texts with {0} for the whole, {1}… for the groups."""

    def form(text: str) -> tuple[str, str] | None:
        match = pattern.fullmatch(text)
        return None if match is None else (_filled(gold, match), _filled(answer, match))

    return form


def _filled(way: str, match: re.Match[str]) -> str:
    return re.sub(r"\{(\d)\}", lambda place: match[int(place[1])] or "", way)


def _replaced(old: str, new: str) -> Form:
    """For golds that contain the text."""
    return lambda gold: (gold, gold.replace(old, new)) if old in gold else None


def _substituted(pattern: str, new: str) -> Form:
    """For golds in which the pattern occurs."""
    return lambda gold: (gold, re.sub(pattern, new, gold)) if re.search(pattern, gold) else None


def _around(prefix: str, suffix: str) -> Form:
    """For integers, fractions and decimals."""
    numeric = re.compile(rf"{INTEGER.pattern}|{DECIMAL.pattern}|-?\\frac\{{\d+\}}\{{\d+\}}")
    return lambda gold: (gold, prefix + gold + suffix) if numeric.fullmatch(gold) else None


def _thousands(separator: str) -> Form:
    def form(gold: str) -> tuple[str, str] | None:
        digits = gold.replace(",", "") if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+", gold) else gold
        if not INTEGER.fullmatch(digits) or len(digits.lstrip("-")) < 4:
            return None
        return gold, f"{int(digits):,}".replace(",", separator)

    return form


def _decimal(gold: str) -> tuple[str, str] | None:
    value = fraction(gold)
    text = None if value is None else exact_decimal(value)
    return None if text is None else (gold, text)


def _as_fraction(gold: str) -> tuple[str, str] | None:
    return (gold, latex(Fraction(gold))) if DECIMAL.fullmatch(gold) else None


def _mixed(gap: str) -> Form:
    def form(gold: str) -> tuple[str, str] | None:
        value = fraction(gold)
        if value is None or abs(value) < 1 or value.denominator == 1:
            return None
        whole, rest = divmod(abs(value), 1)
        return gold, f"{'-' if value < 0 else ''}{whole}{gap}{latex(rest)}"

    return form


def _unsimplified(gold: str) -> tuple[str, str] | None:
    value = fraction(gold)
    if value is None:
        return None
    return gold, f"{'-' if value < 0 else ''}\\frac{{{3 * abs(value.numerator)}}}{{{3 * value.denominator}}}"


def _minus_inside(gold: str) -> tuple[str, str] | None:
    value = fraction(gold)
    if value is None or value >= 0:
        return None
    return gold, rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


def _scientific(way: str) -> Form:
    def form(gold: str) -> tuple[str, str] | None:
        digits = gold.replace(",", "") if SEPARATED.fullmatch(gold) else gold
        if not re.fullmatch(r"[1-9]\d{3,}", digits):
            return None
        lead, rest = digits[0], digits[1:].rstrip("0")
        return gold, way.format(lead + ("." + rest if rest else ""), len(digits) - 1)

    return form


def _percent(way: str, *, gold_has_sign: bool) -> Form:
    """`way` holds {0} for the number and {1} for its hundredth."""

    def form(gold: str) -> tuple[str, str] | None:
        if not (INTEGER.fullmatch(gold) or DECIMAL.fullmatch(gold)) or gold.startswith("-"):
            return None
        hundredth = exact_decimal(Fraction(gold) / 100)
        if hundredth is None or Fraction(gold) == 0:
            return None
        return (gold + r"\%" if gold_has_sign else gold), way.format(gold, hundredth)

    return form


def _decimal_as_percent(gold: str) -> tuple[str, str] | None:
    if not re.fullmatch(r"0\.\d{1,4}", gold):
        return None
    text = exact_decimal(Fraction(gold) * 100)
    return None if text is None else (gold, text + r"\%")


def _reordered(gold_way: str, way: str, between: str = ", ") -> Form:
    def form(gold: str) -> tuple[str, str] | None:
        found = elements(gold)
        if found is None:
            return None
        return gold_way.replace("…", ", ".join(found)), way.replace("…", between.join(reversed(found)))

    return form


def _terms_reversed(gold: str) -> tuple[str, str] | None:
    found = terms(gold)
    return None if found is None or len(found) < 2 else (gold, joined(found[::-1]))


def _imaginary_first(gold: str) -> tuple[str, str] | None:
    match = COMPLEX.fullmatch(gold)
    if match is None:
        return None
    real = match[1] if match[1].startswith("-") else "+" + match[1]
    return gold, f"{'-' if match[2] == '-' else ''}{match[3]}i{real}"


def _inequality(gold: str) -> tuple[str, str] | None:
    match = INTERVAL.fullmatch(gold)
    if match is None or int(match[2]) >= int(match[3]) or match[1] + match[4] == "()":
        return None  # (2,5) among the golds is a point
    left, right = ("<" if end in "()" else r"\le " for end in (match[1], match[4]))
    return gold, f"{match[2]}{left}x{right}{match[3]}"


def _ray(gold: str) -> tuple[str, str] | None:
    match = RAY.fullmatch(gold)
    if match is None:
        return None
    return gold, "x" + (">" if match[1] == "(" else r" \ge ") + match[2]


def _interval_of_bound(gold: str) -> tuple[str, str] | None:
    return (rf"x \ge {gold}", rf"[{gold},\infty)") if INTEGER.fullmatch(gold) else None


def _spaced(gold: str) -> tuple[str, str] | None:
    spaced = re.sub(r"(?<=[\w)}])([+=])(?=[\w(\\{])", r" \1 ", re.sub(r",(?=[-a-z(\[]|\\(?!!))", ", ", gold))
    return None if spaced == gold else (gold, spaced)


def _repeating(gold: str) -> tuple[str, str] | None:
    value = fraction(gold)
    if value is None or value < 0 or value.denominator not in (3, 9, 11, 33, 37, 99):
        return None
    digits = 1 if value.denominator in (3, 9) else 3 if value.denominator == 37 else 2
    whole, rest = divmod(value, 1)
    return gold, rf"{whole}.\overline{{{int(rest * (10**digits - 1)):0{digits}d}}}"


def _separated_fraction(gold: str) -> tuple[str, str] | None:
    value = fraction(gold)
    if value is None or max(abs(value.numerator), value.denominator) < 1000:
        return None
    return gold, rf"{'-' if value < 0 else ''}\frac{{{abs(value.numerator):,}}}{{{value.denominator:,}}}"


def _e_gold(gold: str) -> tuple[str, str] | None:
    return (f"{gold}e+25", rf"{gold} \times 10^{{25}}") if re.fullmatch(r"[1-9]", gold) else None


def _one_power_apart(gold: str) -> tuple[str, str] | None:
    if not re.fullmatch(r"[1-9]\d{1,3}", gold):
        return None
    return f"2^{{{gold}}}", rf"2^{{{int(gold) - 1}}}\cdot 2"


def _squared_binomial(gold: str) -> tuple[str, str] | None:
    match = COMPLEX.fullmatch(gold)
    if match is None:
        return None
    real, imaginary = int(match[1]), int(match[2] + (match[3] or "1"))
    return f"{real * real - imaginary * imaginary}{2 * real * imaginary:+d}i", f"({gold})^2"


BARE_BOX = r"\boxed 4"
"""The one form whose answer stands in no braces."""

PLUS = re.compile(r"\d+|\d+\.\d+")

RIGHT_FORMS: dict[str, Form] = {
    r"\frac as \dfrac": _replaced(r"\frac", r"\dfrac"),
    r"\frac as \tfrac": _replaced(r"\frac", r"\tfrac"),
    "a/b": _substituted(r"^(-?)\\frac\{(\d+)\}\{(\d+)\}$", r"\1\2/\3"),
    r"\frac12": _substituted(r"\\frac\{(\d)\}\{(\d)\}", r"\\frac\1\2"),
    "fraction not in lowest terms": _unsimplified,
    "minus in the numerator": _minus_inside,
    "mixed number": _mixed(""),
    "mixed number, space": _mixed(" "),
    "exact decimal of a fraction": _decimal,
    "fraction of a decimal": _as_fraction,
    "decimal without its zero": _substituted(r"^0(?=\.\d+$)", ""),
    "decimal with a zero more": _of(DECIMAL, "{0}0"),
    "integer.0": _of(INTEGER, "{0}.0"),
    "trailing period": _around("", "."),
    "plus sign": _of(PLUS, "+{0}"),
    "thousands: comma": _thousands(","),
    "thousands: {,}": _thousands("{,}"),
    r"thousands: ,\!": _thousands(r",\!"),
    r"thousands: \,": _thousands(r"\,"),
    "thousands: space": _thousands(" "),
    "thousands: ~": _thousands("~"),
    "thousands: none": lambda gold: (gold, gold.replace(",", "")) if SEPARATED.fullmatch(gold) else None,
    r"scientific: \times": _scientific(r"{} \times 10^{{{}}}"),
    r"scientific: \cdot": _scientific(r"{}\cdot 10^{{{}}}"),
    "scientific: e": _scientific("{}e{}"),
    "spaces": _spaced,
    r"\left( \right)": _of(re.compile(r"([\[(])([^\[\]()]+)([\])])"), r"\left{1}{2}\right{3}"),
    r"\, around": _around(r"\,", r"\,"),
    r"\! before": _around(r"\!", ""),
    r"\displaystyle": _around(r"\displaystyle ", ""),
    r"\text{…}": _of(re.compile(rf"{INTEGER.pattern}|{DECIMAL.pattern}"), r"\text{{0}}"),
    r"\mathbf{…}": _around(r"\mathbf{", "}"),
    r"\underline{…}": _around(r"\underline{", "}"),
    r"\color{red}": _around(r"\color{red}{", "}"),
    r"\boxed in \boxed": _around(r"\boxed{", "}"),
    "**…**": _around("**", "**"),
    "$…$": _around("$", "$"),
    r"\(…\)": _around(r"\(", r"\)"),
    "zero-width space": _around("", "\u200b"),
    "no-break space": _around("\u00a0", ""),
    "x = …": _around("x = ", ""),
    "… = x": _around("", " = x"),
    "sum = value": _of(re.compile(r"[1-9]\d*"), "{0}+0={0}"),
    "unit: cm": _around("", r"\text{ cm}"),
    r"unit: \mathrm{~m}": _around("", r"\mathrm{~m}"),
    "unit: square units": _around("", r"\text{ square units}"),
    "unit: cm^2": _around("", r"\text{ cm}^2"),
    "unit: km/h": _around("", r"\,\text{km/h}"),
    "unit on the gold only": _of(INTEGER, "{0}", gold=r"{0}\text{ cm}"),
    "currency: $": _of(PLUS, r"\${0}"),
    "currency: €": _of(PLUS, "€{0}"),
    "currency on the gold only": _of(PLUS, "{0}", gold=r"\${0}"),
    "degrees: ^\\circ": _of(INTEGER, r"{0}^\circ"),
    "degrees: ^{\\circ}": _of(INTEGER, "{0}^{\\circ}"),
    "degrees: °": _of(INTEGER, "{0}°"),
    r"degrees: \degree": _of(INTEGER, r"{0}\degree"),
    "degrees: word": _of(INTEGER, r"{0}\text{ degrees}"),
    "degrees on the gold only": _of(INTEGER, "{0}", gold=r"{0}^\circ"),
    r"percent: gold 25\%, 25": _percent("{0}", gold_has_sign=True),
    r"percent: gold 25\%, 0.25": _percent("{1}", gold_has_sign=True),
    r"percent: gold 25\%, 25%": _percent("{0}%", gold_has_sign=True),
    r"percent: gold 25\%, word": _percent("{0} percent", gold_has_sign=True),
    r"percent: gold 25\%, \text word": _percent(r"{0}\text{{ percent}}", gold_has_sign=True),
    r"percent: gold 25, 25\%": _percent(r"{0}\%", gold_has_sign=False),
    r"percent: gold 0.25, 25\%": _decimal_as_percent,
    "list reversed": _reordered("…", "…"),
    r"list as \{…\}": _reordered("…", r"\{…\}"),
    r"\{…\} as a list": _reordered(r"\{…\}", "…"),
    "list with and": _reordered("…", "…", r"\text{ and }"),
    "list with or": _reordered("…", "…", r" \text{ or } "),
    r"x \in \{…\}": _reordered("…", r"x \in \{…\}"),
    "(x,y)=…": _of(PAIR, "(x,y)={0}"),
    "interval as inequality": _inequality,
    "ray as inequality": _ray,
    "inequality as ray": _interval_of_bound,
    r"x \in interval": lambda gold: None if PAIR.fullmatch(gold) else _of(INTERVAL, r"x \in {0}")(gold),
    "terms reversed": _terms_reversed,
    "imaginary part first": _imaginary_first,
    "base in braces": _of(BASED, "{1}_{{2}}"),
    "unicode minus": _substituted(r"-(?=[^{}]*\d$)", "\u2212"),
    "unicode pi": _replaced(r"\pi", "π"),
    "unicode root": _substituted(r"\\sqrt\{(\d)\}", r"√\1"),
    "root as a power": _substituted(r"(?<![\d}a-z])\\sqrt\{(\d+)\}", r"\1^{1/2}"),
    r"\sqrt2": _substituted(r"\\sqrt\{(\d)\}", r"\\sqrt\1"),
    r"\cdot before a root": _substituted(r"(?<=\d)(?=\\sqrt)", r" \\cdot "),
    r"\cdot before \pi": _substituted(r"(?<=\d)\\pi", r" \\cdot \\pi"),
    "unicode square": _substituted(r"(?<=[a-z])\^(?:2(?!\d)|\{2\})", "²"),
    "unicode half": _substituted(r"^\\frac\{1\}\{2\}$|^\\frac\{1\}\{2\}(?=[a-z\\])|(?<=\d)\\frac\{1\}\{2\}$", "½"),
    "repeating decimal": _repeating,
    "separators inside a fraction": _separated_fraction,
    "gold 1e+25": _e_gold,
    "2^n as 2^{n-1} times 2": _one_power_apart,
    "complex number as a square": _squared_binomial,
    BARE_BOX: _of(re.compile(r"\d"), "{0}"),
    r"pi first": _of(re.compile(r"(\d+)\\pi"), r"\pi \cdot {1}"),
}
