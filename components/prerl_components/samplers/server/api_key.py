"""The key of a server: the spec's secret, else one that `prerl-spec serve` made up and left where only this user reads it."""

import os
import re
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from prerl_spec.sdk import EnvironmentUnmet

_REFERENCE = re.compile(r"\$\{secret:([A-Za-z_][A-Za-z0-9_]*)\}")


def server_folder(url: str) -> Path:
    """What a server leaves on its machine, its key and its log: a cache of this user."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parts = urlsplit(url)
    return cache / "prerl-spec" / "servers" / f"{parts.hostname}-{parts.port or parts.scheme}"


def key_file(url: str) -> Path:
    """Where the made-up key of a server lies."""
    return server_folder(url) / "key"


def key_of(setting: str | None, url: str) -> str | None:
    """The key for a url: what the secret's variable holds, else what a server of this user left; None where neither is.

    Raises EnvironmentUnmet for a secret that is not set, and for a key that is written out in the spec: a plan masks it,
    so it never gets here.
    """
    if setting is None:
        file = key_file(url)
        return file.read_text(encoding="utf-8").strip() if file.is_file() else None
    reference = _REFERENCE.fullmatch(setting)
    if reference is None:
        raise EnvironmentUnmet(
            "the servers' key stands in the spec itself, where it is masked and cannot be used",
            hint='write key = "${secret:NAME}", and set NAME in the environment',
        )
    key = os.environ.get(reference[1])
    if not key:
        raise EnvironmentUnmet(f"the secret {reference[1]} is not set", hint=f"export {reference[1]}=...")
    return key


def leave_new_key(url: str) -> str:
    """Makes a key up and leaves it for this user's trainers; the file is to go when the server does."""
    file, key = key_file(url), secrets.token_urlsafe(32)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(key)
    return key
