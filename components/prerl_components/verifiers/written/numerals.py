"""Ways to write a number that Math-Verify does not read: thousands, mixed, repeating, with an exponent, roots."""

import re

_SPACED = re.compile(r"(?<![\d.,\\])(?<!\d )\d{1,3}(?: \d{3}(?!\d))+(?! \d)")
_BRACED = re.compile(r"(?<![\d.])\d{1,3}(?:\{,\}\d{3}(?!\d))+")
_TIGHT = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3}(?!\d))+(?!,\d)")
_DECIMAL_COMMA = re.compile(r"(?<![\d.},])(\d+)\{,\}(\d{1,2}|\d{4,})(?![\d{])")
_MIXED = re.compile(r"(?<![\d./^_{}])(\d+)(?:\s+|-)(\d+)\s*/\s*(\d+)(?![\d./^])")
_REPEATING = re.compile(
    r"(?<![\w.])(\d*)\.(\d*)(?:\\(?:overline|bar|dot)\s*\{(\d+)\}|\\(?:overline|bar|dot)\s*(\d)(?!\d)|\((\d+)\))(?![\d(])"
)
_DOTTED = re.compile(r"(?<![\w.])(\d*)\.(\d*)\\dot\s*\{?(\d)\}?(\d*)\\dot\s*\{?(\d)\}?(?!\d)")
_GOES_ON = re.compile(r"(?<![\w.])(\d*)\.(\d*?)(\d{1,6}?)\3{2,}(?:\.{3}|\s*\\[lcd]?dots[a-z]?)(?!\d)")
_EXPONENT = re.compile(r"(?<![\w.}])(\d+(?:\.\d*)?|\.\d+)\s*[eE]\s*\{?([-+]?\d+)\}?(?![\w.])")
_HANGING = re.compile(r"(?<=\d)\.(?![\d.])")
_LEADING = re.compile(r"(?<![\w.)}])\.(?=\d)")
_ROOT_OF_GROUP = re.compile(r"(?:√|\\?sqrt)\s*(?=\()")
_ROOT_OF_TOKEN = re.compile(r"(?:√|(?<![\\A-Za-z])sqrt)\s*(?:(\d+(?:\.\d+)?|[A-Za-z]|\\pi\s*)|(?=\{))")
_HIGHER_ROOT = {"∛": "3", "∜": "4"}
_PI = re.compile(r"(?<![A-Za-z\\{])pi(?![A-Za-z}])")
_PRODUCT = re.compile(r"(?<![\w.^_}\\])(\d+)\s*(?=\(\s*-?\s*(?:\\[dtc]?frac|\d+\s*/))")
_TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*(?:\^\s*\{?\s*\\circ\s*\}?|\\degree)")
_POWER = re.compile(r"\^\s*(\d)(?=[A-Za-z\\(])")


def numerals(text: str) -> str:
    """The text with its numbers as Math-Verify reads them: `1 657` is `1657`, `2 3/4` is `2\\frac{3}{4}`."""
    if "√" in text or "sqrt" in text or "∛" in text or "∜" in text:
        text = _roots(text)
    if "." in text:
        text = _repeating(text)
        text = _LEADING.sub("0.", _HANGING.sub("", text))
    if "/" in text:
        text = _MIXED.sub(_mixed, text)
    if "e" in text or "E" in text:
        text = _EXPONENT.sub(_power_of_ten, text)
    if "\\circ" in text and _TRIGONOMETRIC.search(text):
        text = _DEGREES.sub(r"\\frac{\1\\pi}{180}", text)
    text = joined_thousands(text)
    text = _PRODUCT.sub(r"\1\\cdot ", text)
    text = _POWER.sub(r"^{\1}", text)
    return _PI.sub(r"\\pi ", text)


def joined_thousands(text: str) -> str:
    """The text with its thousands joined. A tight comma inside parentheses, brackets or a set separates elements."""
    text = _DECIMAL_COMMA.sub(r"\1.\2", text)
    text = _BRACED.sub(lambda number: number[0].replace("{,}", ""), text)
    text = _SPACED.sub(lambda number: number[0].replace(" ", ""), text)
    if "," not in text:
        return text
    return _TIGHT.sub(
        lambda number: number[0] if _is_enclosed(text, number.start()) else number[0].replace(",", ""),
        text,
    )


def _is_enclosed(text: str, place: int) -> bool:
    """Whether the innermost bracket around the place belongs to a tuple, an interval or a set."""
    depth, place = 0, place - 1
    while place >= 0:
        if text[place] in ")]}":
            depth += 1
        elif text[place] in "([{":
            if depth == 0:
                return text[place] != "{" or text[place - 1 : place] == "\\"
            depth -= 1
        place -= 1
    return False


def _mixed(number: re.Match[str]) -> str:
    whole, top, bottom = number[1], number[2], number[3]
    if int(top) >= int(bottom) or ("-" in number[0] and " " not in number[0]):
        return number[0]
    return f"{whole}\\frac{{{top}}}{{{bottom}}}"


def _power_of_ten(number: re.Match[str]) -> str:
    return f"{number[1]}\\times 10^{{{int(number[2])}}}"


def _repeating(text: str) -> str:
    text = _DOTTED.sub(lambda number: _as_fraction(number[1], number[2], number[3] + number[4] + number[5]), text)
    text = _REPEATING.sub(lambda number: _as_fraction(number[1], number[2], number[3] or number[4] or number[5]), text)
    return _GOES_ON.sub(lambda number: _as_fraction(number[1], number[2], number[3]), text)


def _as_fraction(whole: str, fixed: str, period: str) -> str:
    """The fraction of a repeating decimal: (whole·fixed·period − whole·fixed) / (9…90…0)."""
    if len(whole + fixed + period) > 40:
        return "\\undecided"
    before, through = int((whole + fixed) or "0"), int(whole + fixed + period)
    return f"\\frac{{{through - before}}}{{{'9' * len(period) + '0' * len(fixed)}}}"


def _roots(text: str) -> str:
    for sign, degree in _HIGHER_ROOT.items():
        text = re.sub(rf"{sign}\s*(?:(\d+|[A-Za-z])|\(([^()]*)\))", rf"\\sqrt[{degree}]{{\1\2}}", text)
    place = 0
    while (root := _ROOT_OF_GROUP.search(text, place)) is not None:
        end = _closing(text, root.end())
        if end is None:
            break
        text = f"{text[: root.start()]}\\sqrt{{{text[root.end() + 1 : end]}}}{text[end + 1 :]}"
        place = root.start() + 5
    return _ROOT_OF_TOKEN.sub(lambda root: f"\\sqrt{{{root[1]}}}" if root[1] else "\\sqrt", text)


def _closing(text: str, place: int) -> int | None:
    depth = 0
    for at in range(place, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at
    return None
