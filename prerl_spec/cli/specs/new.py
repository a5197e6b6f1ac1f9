"""`new FILE --template NAME` writes a spec to start from: one of those that are shipped and tested, with its comments."""

import argparse
from difflib import get_close_matches
from pathlib import Path

from prerl_spec.errors import UsageError

PACKAGED = Path(__file__).parent / "templates"
"""Where a wheel puts `specs/` (pyproject.toml); a checkout has them under their own name alone."""
CHECKED_OUT = Path(__file__).parents[3] / "specs"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="the spec to write; nothing is ever overwritten")
    parser.add_argument("--template", required=True, metavar="NAME", help=f"one of: {', '.join(templates())}")


def run(arguments: argparse.Namespace) -> int:
    """Raises UsageError for a template that does not exist and a file that does."""
    file: Path = arguments.file
    known = templates()
    if arguments.template not in known:
        near = get_close_matches(arguments.template, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"choose from: {', '.join(known)}"
        raise UsageError(f"there is no template `{arguments.template}`", hint=hint)
    try:
        with file.open("xb") as new:
            new.write(known[arguments.template].read_bytes())
    except FileExistsError as error:
        raise UsageError(f"{file} is there already, and stays as it is", hint="name another file") from error
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror}", hint="name a file in a folder that is"
        ) from error
    print(f"{file}: from {arguments.template}; next: prerl-spec plan {file}")
    return 0


def templates() -> dict[str, Path]:
    """Name -> file of every shipped spec."""
    folder = PACKAGED if PACKAGED.is_dir() else CHECKED_OUT
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}
