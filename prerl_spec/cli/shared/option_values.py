"""What stands behind an option, read from its text."""

import argparse


def positive(text: str) -> int:
    """A whole number from 1. Raises ArgumentTypeError, which argparse tells with the option."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def names(text: str) -> list[str]:
    """Names between commas: "a, b" is ["a", "b"]."""
    return [name.strip() for name in text.split(",") if name.strip()]


def assignment(text: str) -> tuple[str, str]:
    """Name and file of TASK=FILE. Raises ArgumentTypeError."""
    name, sign, file = text.partition("=")
    if not (name and sign and file):
        raise argparse.ArgumentTypeError(f"{text!r} is not TASK=FILE")
    return name, file
