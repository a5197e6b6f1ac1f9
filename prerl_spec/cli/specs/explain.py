"""`explain CODE` prints the page of a diagnostic code: its meaning, a bad and a good example."""

import argparse
import sys
from pathlib import Path

from prerl_spec.codes import Code
from prerl_spec.errors import UsageError

PAGES = Path(__file__).parent / "pages"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", metavar="CODE", help="a diagnostic code, such as E0301")


def run(arguments: argparse.Namespace) -> int:
    """Prints the page on stdout. Raises UsageError for a code that does not exist."""
    try:
        code = Code(arguments.code.strip().strip("[]").upper())
    except ValueError:
        raise UsageError(f"unknown diagnostic code {arguments.code}", hint=f"the codes are {', '.join(Code)}") from None
    sys.stdout.write((PAGES / code.page).read_text(encoding="utf-8"))
    return 0
