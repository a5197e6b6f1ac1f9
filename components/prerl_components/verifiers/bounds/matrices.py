"""Bounds of the gate on matrices: determinants, powers, products and functions of them."""

import re

from prerl_components.verifiers.bounds.operands import operand_after

MAX_DETERMINANT = 3
MAX_NUMERIC_DETERMINANT = 8
MAX_MATRICES = 4

_LETTER = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]")
_MATRIX = re.compile(r"\\begin\{(\w*matrix|array)\}(.*?)\\end\{\1\}", re.DOTALL)
_MATRIX_POWER = re.compile(r"\\end\{(?:\w*matrix|array)\}\s*[)\]}|]*\s*\^")
_MATRIX_FUNCTION = re.compile(r"\\operatorname\s*\{\s*(?!det|rank|tr\b|trace|gcd|lcm)\w+\s*\}")


def matrices(text: str) -> str | None:
    """The bound on matrices that the text is over, None if it is within all."""
    if _MATRIX_FUNCTION.search(text) and (_MATRIX.search(text) or re.search(r"eye|zeros|ones|diag", text)):
        return "a function of a matrix other than det, rank and trace"
    found = list(_MATRIX.finditer(text))
    if not found:
        return None
    if len(found) > MAX_MATRICES and not re.search(r"\\cup|,\s*\\begin", text):
        return f"more than {MAX_MATRICES} matrices"
    rows = max(len(re.findall(r"\\\\", match[2])) + 1 for match in found)
    symbolic = any(_LETTER.search(match[2].replace("\\\\", " ")) for match in found)
    is_determinant = any(match[1] == "vmatrix" for match in found) or "\\det" in text or "operatorname" in text
    if is_determinant and rows > (MAX_DETERMINANT if symbolic else MAX_NUMERIC_DETERMINANT):
        return f"a determinant of {rows} rows"
    for match in _MATRIX_POWER.finditer(text):
        exponent = operand_after(text, match.end())[0].strip()
        if exponent in ("T", "\\top", "\\prime"):
            continue
        if rows > MAX_DETERMINANT - symbolic or not re.fullmatch(r"-?[1-3]" if symbolic else r"-?\d{1,3}|-", exponent):
            return "a power of a matrix: more than 3 rows, 2 with letters, or an exponent that is no short integer"
    return None
