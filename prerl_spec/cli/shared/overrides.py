"""Options that override a spec: --set, --unset, --overlay, --local-code."""

import argparse
from typing import Any

from prerl_spec.cli.shared.option_values import file_path


def add_overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="set a key to a TOML value (repeatable)"
    )
    parser.add_argument("--unset", action="append", default=[], metavar="PATH", help="remove a key (repeatable)")
    parser.add_argument(
        "--overlay",
        action="append",
        default=[],
        metavar="FILE",
        type=file_path,
        help="merge a TOML file over the spec (repeatable)",
    )
    add_local_code(parser)


def add_local_code(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--local-code",
        action="store_true",
        help="allow executing the Python files of [plugins], and those that the tasks of an include folder run",
    )


def overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `resolve`; `--processes` overrides `distributed.processes`."""
    processes = getattr(arguments, "processes", None)
    return {
        "sets": (*arguments.set, *([] if processes is None else [f"distributed.processes={processes}"])),
        "unsets": tuple(arguments.unset),
        "overlays": tuple(arguments.overlay),
        "local_code": bool(arguments.local_code),
    }
