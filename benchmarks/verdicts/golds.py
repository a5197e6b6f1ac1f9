"""Gold answers of a data set, and the shapes among them that a perturbation can take apart."""

import json
import re
from fractions import Fraction
from pathlib import Path

INTEGER = re.compile(r"-?\d+")
FRACTION = re.compile(r"(-?)\\frac\{(-?\d+)\}\{(\d+)\}")
DECIMAL = re.compile(r"-?\d+\.\d+")
BASED = re.compile(r"(\d+)_\{?(\d+)\}?")
PAIR = re.compile(r"\((-?\d+),\s*(-?\d+)\)")
INTERVAL = re.compile(r"([\[(])(-?\d+),\s*(-?\d+)([\])])")
RAY = re.compile(r"([\[(])(-?\d+),\s*\\infty\)")
COMPLEX = re.compile(r"(-?\d+)([-+])(\d*)i")
SEPARATED = re.compile(r"-?\d{1,3}(?:,\d{3})+")
ENTRY = r"-?(?:\d+|\\frac\{\d+\}\{\d+\}|\d*\\sqrt\{\d+\})"
LISTED = re.compile(rf"{ENTRY}(?:,\s*{ENTRY})+")
POLYNOMIAL = re.compile(r"-?\d*[a-z](?:\^\{?\d+\}?)?(?:[-+]\d*(?:[a-z](?:\^\{?\d+\}?)?)?)+")


def read_golds(path: Path) -> list[str]:
    """The distinct gold answers of a JSONL file, in its order: the column `answer`, after `####` where there is one."""
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    answers = (str(row["answer"]).rpartition("####")[2].strip() for row in rows)
    return list(dict.fromkeys(answer for answer in answers if answer))


def fraction(gold: str) -> Fraction | None:
    """The value of `\\frac{a}{b}` with integers a, b > 0; None for anything else."""
    match = FRACTION.fullmatch(gold)
    if match is None or int(match[3]) == 0:
        return None
    value = Fraction(int(match[2]), int(match[3]))
    return -value if match[1] else value


def latex(value: Fraction) -> str:
    """`-\\frac{3}{2}`, or an integer."""
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def exact_decimal(value: Fraction) -> str | None:
    """The decimal that equals the fraction, None if it does not end within 6 places."""
    scaled = value * 10**6
    if scaled.denominator != 1:
        return None
    text = f"{abs(scaled.numerator):07d}"
    return ("-" if value < 0 else "") + (text[:-6] + "." + text[-6:]).rstrip("0").rstrip(".")


def elements(gold: str) -> list[str] | None:
    """The distinct entries of a list of numbers (`-2,2`), None if it is none or could be one number with separators."""
    if not LISTED.fullmatch(gold) or SEPARATED.fullmatch(gold):
        return None
    found = [entry.strip() for entry in gold.split(",")]
    return found if len(set(found)) == len(found) else None


def terms(gold: str) -> list[str] | None:
    """The signed terms of a sum of distinct monomials in one or two letters, None for anything else."""
    if not POLYNOMIAL.fullmatch(gold):
        return None
    found = re.findall(r"[-+]?[^-+]+", gold)
    return [term if term[0] in "+-" else "+" + term for term in found]


def joined(signed: list[str]) -> str:
    """A sum from signed terms, the last part of `terms` undone."""
    return "".join(signed).removeprefix("+")
