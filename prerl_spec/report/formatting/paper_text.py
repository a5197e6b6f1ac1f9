"""Text in the cells of tables for papers: Markdown, and LaTeX."""

from collections.abc import Iterable

from prerl_spec.report.formatting.printable import printable

MINUS = "\u2212"
_IN_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    MINUS: "$-$",
    "–": "--",
    "×": r"$\times$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
}


def markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def in_markdown(text: str) -> str:
    """On one line, with the signs of Markdown escaped."""
    text = _one_line(text)
    for sign in "\\`*_|<>[]":
        text = text.replace(sign, "\\" + sign)
    return text


def in_latex(text: str) -> str:
    """On one line, with the signs of LaTeX escaped."""
    return "".join(_IN_LATEX.get(sign, sign) for sign in _one_line(text))


def latex_row(cells: Iterable[str]) -> str:
    """A row of a table; one that begins with a bracket or a star would be read as an option of the row's end before it."""
    row = " & ".join(cells)
    return f"{'{}' if row.startswith(('[', '*')) else ''}{row} \\\\"


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())
