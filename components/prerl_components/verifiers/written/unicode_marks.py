"""Characters that stand for LaTeX: superscripts, vulgar fractions, full-width forms, typographic signs, invisible marks."""

import re
import unicodedata

_SPELLINGS = {
    "−": "-",
    "–": "-",
    "—": "-",
    "‐": "-",
    "‑": "-",
    "﹣": "-",
    "×": "\\times ",
    "✕": "\\times ",
    "⋅": "\\cdot ",
    "·": "\\cdot ",
    "∙": "\\cdot ",
    "∗": "*",
    "÷": "\\div ",
    "⁄": "/",
    "∕": "/",
    "±": "\\pm ",
    "∓": "\\mp ",
    "≤": "\\le ",
    "⩽": "\\le ",
    "≥": "\\ge ",
    "⩾": "\\ge ",
    "≠": "\\ne ",
    "≈": "\\approx ",
    "∞": "\\infty ",
    "°": "^\\circ ",
    "º": "^\\circ ",
    "˚": "^\\circ ",
    "∘": "\\circ ",
    "∪": "\\cup ",
    "∩": "\\cap ",
    "∈": "\\in ",
    "∅": "\\emptyset ",
    "⌀": "\\emptyset ",
    "ℝ": "\\mathbb{R}",
    "ℤ": "\\mathbb{Z}",
    "ℕ": "\\mathbb{N}",
    "ℚ": "\\mathbb{Q}",
    "ℂ": "\\mathbb{C}",
    "∠": "\\angle ",
    "△": "\\triangle ",
    "′": "'",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "…": "\\ldots ",
    "⋯": "\\ldots ",
    "。": ".",
    "、": ",",
    "∶": ":",
    "⟨": "\\langle ",
    "⟩": "\\rangle ",
    "〈": "\\langle ",
    "〉": "\\rangle ",
    "℃": "^\\circ C",
    "℉": "^\\circ F",
    "¢": "\\text{ cents}",
    "￠": "\\text{ cents}",
    "√": "√",
    "π": "\\pi ",
    "θ": "\\theta ",
    "α": "\\alpha ",
    "β": "\\beta ",
    "γ": "\\gamma ",
    "λ": "\\lambda ",
    "φ": "\\phi ",
    "ω": "\\omega ",
    "σ": "\\sigma ",
    "Δ": "\\Delta ",
    "ⅰ": "i",
    "ⅇ": "e",
}
_KEPT = frozenset("√∛∜%")
_FRACTION = re.compile(r"(\d+)/(\d+)")
_MATHEMATICAL = re.compile(r"[\x20-\x7e]*")


def in_latex(text: str) -> str:
    """The text in LaTeX's ASCII where it has such characters, others unchanged; invisible marks are left out."""
    if text.isascii():
        return text
    pieces: list[str] = []
    level = ""
    for character in text:
        raised = _level(character)
        if raised != level:
            pieces.append(("}" if level else "") + ("^{" if raised == "super" else "_{" if raised == "sub" else ""))
            level = raised
        pieces.append(_spelled(character))
    return "".join(pieces) + ("}" if level else "")


def _level(character: str) -> str:
    """`super` or `sub` for a raised or lowered digit, sign or letter, else nothing."""
    if character in _SPELLINGS or character.isascii():
        return ""
    form = unicodedata.decomposition(character).partition(" ")[0]
    return {"<super>": "super", "<sub>": "sub"}.get(form, "")


def _spelled(character: str) -> str:
    if character in _SPELLINGS:
        return _SPELLINGS[character]
    if character.isascii() or character in _KEPT:
        return character
    category = unicodedata.category(character)
    if category in ("Cf", "Mn") or character == "\u2800":
        return ""
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category in ("Zs", "Zl", "Zp"):
        return " "
    plain = unicodedata.normalize("NFKC", character)
    if (fraction := _FRACTION.fullmatch(plain.replace("⁄", "/"))) is not None:
        return f"\\frac{{{fraction[1]}}}{{{fraction[2]}}}"
    return "".join(_SPELLINGS.get(part, part) for part in plain)
