"""The values behind `${secret:NAME}` that this process knows of, so that no error of a library or an author can print one."""

import os

SHORTEST = 6
"""Characters of a value from which on it is looked for: shorter ones are parts of ordinary words."""

_names: set[str] = set()


def know_secret(name: str) -> None:
    """From now on the value of this environment variable is masked by `without_secrets`."""
    _names.add(name)


def without_secrets(text: str) -> str:
    """The text with asterisks in place of every known secret's value."""
    for value in sorted((os.environ.get(name, "") for name in _names), key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, "*" * len(value))
    return text
