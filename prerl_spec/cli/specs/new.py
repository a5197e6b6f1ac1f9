"""`new FILE --template NAME` copies one of the shipped, tested specs, with its comments."""

import argparse
from difflib import get_close_matches
from pathlib import Path

from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.errors import UsageError
from prerl_spec.situations import not_written

PACKAGED = Path(__file__).parent / "templates"
"""Where a wheel installs `specs/` (pyproject.toml); in a checkout only the folder `specs/` itself exists."""
CHECKED_OUT = Path(__file__).parents[3] / "specs"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", type=file_path, help="the spec to write; an existing file is never overwritten"
    )
    parser.add_argument("--template", metavar="NAME", help=f"one of: {', '.join(templates())}")


def run(arguments: argparse.Namespace) -> int:
    """Raises UsageError for an unknown template, for none, and for an existing file."""
    file: Path = arguments.file
    known = templates()
    if arguments.template is None:
        raise UsageError("no template is named", hint=f"--template NAME, one of: {', '.join(known)}")
    if arguments.template not in known:
        near = get_close_matches(arguments.template, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"choose from: {', '.join(known)}"
        raise UsageError(f"unknown template `{arguments.template}`", hint=hint)
    try:
        with file.open("xb") as new:
            new.write(known[arguments.template].read_bytes())
    except FileExistsError as error:
        raise UsageError(f"{file} already exists and is left unchanged", hint="choose another file name") from error
    except OSError as error:
        raise not_written(file, error, "choose a file in a writable folder") from error
    print(f"{file}: written from template {arguments.template}; next: prerl-spec plan {file}")
    return 0


def templates() -> dict[str, Path]:
    """Shipped specs: name -> file."""
    folder = PACKAGED if PACKAGED.is_dir() else CHECKED_OUT
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}
