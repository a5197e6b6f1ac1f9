"""Argument types for argparse: paths, positive numbers, name lists, assignments."""

import argparse
import os
import re
from pathlib import Path


def file_path(text: str) -> Path:
    """A path; a leading `~` is the home folder also where no shell has replaced it, as in `--out=~/x`."""
    return Path(os.path.expanduser(text))


def positive(text: str) -> int:
    """An integer ≥ 1. Raises ArgumentTypeError, which argparse reports together with the option."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def amount(text: str) -> float:
    """A finite number above 0. Raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def names(text: str) -> list[str]:
    """Comma-separated names: "a, b" is ["a", "b"]."""
    return [name.strip() for name in text.split(",") if name.strip()]


def assignment(text: str) -> tuple[str, str]:
    """Name and file of TASK=FILE. Raises ArgumentTypeError."""
    name, sign, file = text.partition("=")
    if not (name and sign and file):
        raise argparse.ArgumentTypeError(f"{text!r} is not TASK=FILE")
    return name, os.path.expanduser(file)


def date(text: str) -> str:
    """YYYY, YYYY-MM or YYYY-MM-DD. Raises ArgumentTypeError."""
    if re.fullmatch(r"\d{4}(-(0[1-9]|1[0-2])(-([0-2]\d|3[01]))?)?", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date: YYYY, YYYY-MM or YYYY-MM-DD")
    return text
