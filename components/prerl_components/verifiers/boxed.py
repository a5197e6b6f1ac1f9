"""The last `\\boxed{…}` of a text, found by matching braces."""

import re

_BOX = "\\boxed"
_THINKING_ENDS = "</think>"
_BARE = re.compile(r"(?:[^\s${}]|\{[^{}]*\})+")
_SENTENCE_ENDS = ".,;:!?"


def boxed_answer(response: str) -> str | None:
    """The content of the last `\\boxed{…}` after any `</think>`; None if there is none or it is not closed."""
    return last_boxed(without_thinking(response))


def without_thinking(response: str) -> str:
    """The text after the last `</think>`; the whole response if there is none."""
    return response.rpartition(_THINKING_ENDS)[2]


def last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed{…}`, stripped; None if there is none, or if the last one is not closed.

    `\\{` and `\\}` are characters, not braces: the content of `\\boxed{\\{1\\}}` is `\\{1\\}`. Without braces the box holds
    what stands before the next space, without the sentence's last mark: `\\boxed 42.` is 42.
    """
    box = text.rfind(_BOX)
    if box < 0:
        return None
    start = box + len(_BOX)
    while text[start : start + 1].isspace():
        start += 1
    if text[start : start + 1] != "{":
        return _bare(text, box + len(_BOX), start)
    content = braced(text, start)
    return None if content is None else content.strip()


def _bare(text: str, end: int, start: int) -> str | None:
    """What a `\\boxed` without braces holds; None for a longer command (`\\boxedeq`), or with nothing behind it."""
    found = _BARE.match(text, start)
    if found is None or (start == end and found[0][0].isalpha()):
        return None
    return found[0].rstrip(_SENTENCE_ENDS) or None


def braced(text: str, start: int) -> str | None:
    """The text between the brace at `start` and the matching brace; None if either is missing."""
    if text[start : start + 1] != "{":
        return None
    depth, place = 0, start
    while place < len(text):
        character = text[place]
        if character == "\\":
            place += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : place]
        place += 1
    return None
