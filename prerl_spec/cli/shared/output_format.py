"""`--format text|json`: one spelling for the commands that print results, beside the older ones of some."""

import argparse
import json
from typing import Any


def add_format(parser: argparse.ArgumentParser, *, as_json: bool = False) -> None:
    """Adds the option, and its older spelling `--json` if the command has it."""
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        metavar="text|json",
        help="form of the output; default: text",
    )
    if as_json:
        parser.add_argument(
            "--json", action="store_const", dest="format", const="json", help="the same as --format json"
        )


def print_json(value: Any, *, ascii: bool = False) -> None:
    """Prints a JSON value to stdout, as results are printed; in ASCII where a model has written the texts: none of their
    characters can then steer a terminal."""
    from prerl_spec.cli.shared.diagnostics import print_results

    print_results(json.dumps(value, indent=2, ensure_ascii=ascii))
