"""An answer's pieces: the elements of a list, a tuple, an interval or a set, and the sides of an equation.

Only commas, brackets and signs of equality outside of all brackets are looked at. What a piece says is Math-Verify's.
"""

import re
from typing import NamedTuple

_OPENING = {"(": 1, "[": 1, "{": 1}
_CLOSING = {")": 1, "]": 1, "}": 1}
_JOINTS = re.compile(
    r"(?P<or>,?\s*(?:\\text\{\s*,?\s*or\s*\}|\{or\}|(?<![A-Za-z\\])or(?![A-Za-z])|\\lor(?![A-Za-z])|\\vee(?![A-Za-z]))\s*)"
    r"|(?P<and>,?\s*(?:\\text\{\s*,?\s*(?:and|&)\s*\}|\{and\}|(?<![A-Za-z\\])and(?![A-Za-z])|\\land(?![A-Za-z])|\\wedge(?![A-Za-z]))\s*)"
    r"|(?P<comma>\\text\{\s*[,;]\s*\}|(?<!\\)[,;])"
)
_EQUALS = re.compile(
    r"(?<![<>!:=\\])\s*(?P<equal>={1,2}|\\equiv(?!.*mod)|:=|\\approx(?![A-Za-z])|\\doteq|\\simeq(?![A-Za-z]))\s*(?![<>])"
)
_RELATION = re.compile(
    r"[<>]|\\(?:le|ge|leq|geq|leqslant|geqslant|lt|gt|ne|neq|leqq|geqq)(?![A-Za-z])|!=|\\in(?![A-Za-z])"
)
_SIGN = re.compile(r"\\(pm|mp)(?![A-Za-z])\s*")
_MAX_SIGNS = 2
_BRACKETS = (("\\{", "\\}"), ("(", ")"), ("(", "]"), ("[", ")"), ("[", "]"))


class Enclosed(NamedTuple):
    """The content of the brackets around the whole of a piece, and these."""

    opening: str
    content: str
    closing: str


def depths(text: str) -> list[int]:
    """The number of brackets open before each character; `\\{` and `\\}` count as brackets."""
    depth, found, place = 0, list[int](), 0
    while place < len(text):
        character = text[place]
        if character == "\\" and text[place + 1 : place + 2] in ("{", "}"):
            closes = text[place + 1] == "}"
            depth -= closes
            found += [depth, depth]
            depth += not closes
            place += 2
            continue
        depth -= character in _CLOSING
        found.append(depth)
        depth += character in _OPENING
        place += 1
    return found


def listed(text: str) -> tuple[list[str], str]:
    """The elements of a list without brackets, and what joins them: `or`, `and`, `comma`; one element, and nothing.

    Where there are semicolons, commas stand within an element: `x=1,y=2; x=3,y=4` are two.
    """
    if not _JOINTS.search(text):
        return [text], ""
    depth, elements, last, joint = depths(text), list[str](), 0, ""
    outer = [each for each in _JOINTS.finditer(text) if depth[each.start()] == 0]
    rows = any(each[0] == ";" for each in outer)
    for separator in outer:
        if (rows and separator[0] == ",") or (separator["comma"] is None and _is_worded(text, separator)):
            continue
        elements.append(text[last : separator.start()])
        last = separator.end()
        joint = joint if joint in ("or", "and") else separator.lastgroup or ""
    elements.append(text[last:])
    kept = [element.strip() for element in elements if element.strip()]
    return (kept, joint) if len(kept) > 1 or (kept and joint == "comma") else ([text], "")


def sides(text: str) -> list[str]:
    """The sides of an equation or of a chain of them; a single one if there is no `=` outside of brackets."""
    if not _EQUALS.search(text):
        return [text]
    depth, found, last = depths(text), list[str](), 0
    for sign in _EQUALS.finditer(text):
        if depth[sign.start("equal")] == 0 and sign.start("equal") > 0:
            found.append(text[last : sign.start("equal")].strip())
            last = sign.end()
            if "approx" in sign["equal"] and len(found) > 1:
                return found
    found.append(text[last:].strip())
    return found if all(found) else [text]


def enclosed(text: str) -> Enclosed | None:
    """The brackets around the whole of the text and their content; None if no one pair encloses it."""
    for opening, closing in _BRACKETS:
        if text.startswith(opening) and text.endswith(closing) and len(text) >= len(opening) + len(closing):
            start, end = len(opening), len(text) - len(closing)
            if min(depths(text)[start:end], default=1) >= 1:
                return Enclosed(opening[-1], text[start:end].strip(), closing[-1])
    return None


def is_relation(text: str) -> bool:
    """Whether the text is an inequality or says that something lies in a set."""
    return bool(_RELATION.search(text))


def signed(text: str) -> list[str]:
    """The two numbers that `a \\pm b` denotes, or the four of two signs; the text itself where there is no such sign."""
    count = len(_SIGN.findall(text))
    if count == 0 or count > _MAX_SIGNS:
        return [text]
    if count == 2 and "\\mp" in text:
        return [text.replace("\\pm", plus).replace("\\mp", minus) for plus, minus in (("+", "-"), ("-", "+"))]
    found = [text]
    for _ in range(count):
        found = [_SIGN.sub(sign, each, count=1) for each in found for sign in ("+", "-")]
    return found


def _is_worded(text: str, separator: re.Match[str]) -> bool:
    """Whether `and` or `or` stands between words: `\\text{Bill and Ann}` is one answer."""
    before, after = text[: separator.start()].strip(), text[separator.end() :].strip()
    return bool(re.fullmatch(r"[A-Za-z ]{2,}", before) and re.fullmatch(r"[A-Za-z ]{2,}", after))
