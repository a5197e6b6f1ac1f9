"""Ratios of three numbers and more, which Math-Verify reads as repeated division: `1:2:3` is `2:4:6`, not `1:3:2`."""

from prerl_components.verifiers.compared.expressions import same_object
from prerl_components.verifiers.compared.parsing import parsed
from prerl_components.verifiers.written.pieces import depths


def terms(text: str) -> list[str]:
    """The terms of a ratio of at least three; nothing for other texts."""
    if text.count(":") < 2:
        return []
    depth, found, last = depths(text), list[str](), 0
    for place, character in enumerate(text):
        if character == ":" and depth[place] == 0:
            found.append(text[last:place].strip())
            last = place + 1
    found.append(text[last:].strip())
    return found if len(found) > 2 and all(found) else []


def same_ratio(answer: list[str], gold: list[str]) -> bool | None:
    """Whether two ratios have as many terms, and each the same share of the first; None if a term does not parse."""
    if len(answer) != len(gold):
        return False
    for one, other in zip(answer[1:], gold[1:], strict=True):
        share, wanted = parsed(f"\\frac{{{one}}}{{{answer[0]}}}"), parsed(f"\\frac{{{other}}}{{{gold[0]}}}")
        if share is None or wanted is None:
            return None
        if not (same := same_object(share, wanted)):
            return same
    return True
