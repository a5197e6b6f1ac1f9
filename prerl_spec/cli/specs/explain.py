"""`explain CODE` prints the page of a diagnostic code: its meaning, a bad and a good example."""

import argparse
import sys
from pathlib import Path

from prerl_spec.cli.shared.output_format import add_format, print_json
from prerl_spec.codes import Code
from prerl_spec.errors import UsageError
from prerl_spec.language.suggest import one_of

PAGES = Path(__file__).parent / "pages"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", metavar="CODE", help="a diagnostic code, such as E0301")
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the page on stdout. Raises UsageError for a code that does not exist."""
    try:
        code = Code(arguments.code.strip().strip("[]").upper())
    except ValueError:
        number = "".join(filter(str.isdigit, arguments.code)).zfill(4)  # E203, 0203
        near = [code.value for code in Code if code.value.endswith(number)]
        hint = f"did you mean {one_of(near)}?" if near else f"the codes are {', '.join(Code)}"
        raise UsageError(f"unknown diagnostic code {arguments.code}", hint=hint) from None
    page = (PAGES / code.page).read_text(encoding="utf-8")
    if arguments.format == "json":
        print_json({"code": code.value, "meaning": code.meaning, "exit_code": code.exit_code, "page": page})
    else:
        sys.stdout.write(page)
    return 0
