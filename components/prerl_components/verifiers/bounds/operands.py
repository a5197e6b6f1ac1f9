"""Operands of a LaTeX text: what stands before a sign, what a command is applied to."""

import re

from prerl_components.verifiers.boxed import braced


def operand_after(text: str, start: int) -> tuple[str, int]:
    """The content of the group after `start`, or the next character, and the place after it."""
    while text[start : start + 1].isspace():
        start += 1
    content = braced(text, start)
    return (text[start : start + 1], start + 1) if content is None else (content, start + len(content) + 2)


def operand_before(text: str, end: int) -> str:
    """The operand that ends before `end`: a number, or brackets with the braces before them (a fraction's)."""
    place = len(text[:end].rstrip())
    if text[place - 1 : place] == "!":
        return "!"
    while place and text[place - 1] in ")}]":
        depth = 0
        while place:
            place -= 1
            depth += (text[place] in ")}]") - (text[place] in "([{")
            if depth == 0:
                break
        if text[place] == "(":
            return text[place:end]
        place = len(text[:place].rstrip())
    number = re.search(r"[\d.,\s]*$", text[:place])
    return text[number.start() if number else place : end]


def closing_bracket(text: str, start: int) -> int:
    """The place after the bracket that closes the one at `start`; the end of the text if none does."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if depth == 0:
            return place + 1
    return len(text)
