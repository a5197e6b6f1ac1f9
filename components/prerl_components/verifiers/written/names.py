"""What a side of an equation may be called without saying anything: `x`, `f(x)`, `\\angle ABC`, `\\text{Area}`."""

import re

from prerl_components.verifiers.written.pieces import enclosed, listed

_GREEK = (
    r"\\(?:alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau|upsilon"
    r"|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Sigma|Phi|Psi|Omega|ell)(?![A-Za-z])"
)
_SCRIPT = (
    r"(?:\s*(?:_\s*(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\w|\\\w+)|\^\s*\{?\s*(?:-1|\\prime|\*|\(\w\)|\\circ)\s*\}?|'))*"
)
_LETTER = rf"(?:[A-Za-z]|{_GREEK})"
_FIGURE = (
    r"(?:m\s*)?\\(?:angle|triangle|measuredangle|overline|vec|hat|bar|tilde|overrightarrow|widehat|mathbb|mathcal|operatorname|dot|ddot|Pr)"
    r"\s*(?:\{[^{}]*\}|[A-Za-z ]*)"
)
_CAPITALS = r"[A-Z]{2,}"
_WORD = r"(?:\\text\{[^{}]*\}\s*)+"
_BARE_WORDS = r"(?=[a-zA-Z ]*[aeiouAEIOU])[A-Za-z]{3,}(?: [A-Za-z]+)*"
_ARGUMENTS = r"(?:\s*[(\[](?P<arguments>.*)[)\]])?"
_NAME = re.compile(
    rf"(?:{_FIGURE}|{_WORD}|{_CAPITALS}|{_BARE_WORDS}|{_LETTER}){_SCRIPT}(?:\s*{_WORD})?{_ARGUMENTS}{_SCRIPT}",
    re.DOTALL,
)
_MEASURE = re.compile(
    r"\|\s*(?:[A-Z]{2,}|\\overline\{[A-Z]+\}|\\vec\{?\w+\}?)\s*\||\[\s*[A-Z]{3,}\s*\]|\\frac\{d\w?\}\{d\w\}|\\frac\{d\^?\{?\d?\}?\w\}\{d\w\^?\{?\d?\}?\}|\w/\w(?!.)"
)
_INVERSE = re.compile(r"\^\s*\{?\s*-1")
_FACTORS = frozenset("abcdkmnwxyz")


def is_name(text: str) -> bool:
    """Whether the text only names what an answer is the value of; a tuple of names is one."""
    text = text.strip()
    if text in ("e", "i", "\\pi"):
        return False
    brackets = enclosed(text)
    if brackets is not None and brackets.opening != "{":
        return all(is_name(element) for element in listed(brackets.content)[0])
    if _MEASURE.fullmatch(text):
        return "/" not in text or text == "dy/dx"
    found = _NAME.fullmatch(text)
    if found is None:
        return False
    arguments = found["arguments"]
    if arguments is None and text[0] in _FACTORS and _INVERSE.search(text):
        return False
    return arguments is None or text[0] not in _FACTORS or bool(re.fullmatch(r"\s*(?:\w|-?\d+)\s*", arguments))
