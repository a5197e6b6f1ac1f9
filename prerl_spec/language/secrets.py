"""Detects values that look like secrets, and masks them in all output."""

import re
from collections.abc import Iterator

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic
from prerl_spec.language.document import Scalar, Table, walk

_TOKEN = re.compile(r"(?<![A-Za-z0-9])(?:hf_|sk-)[A-Za-z0-9_-]{20,}")
_HEX = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{40}(?![0-9A-Fa-f])")
_BEFORE_COMMIT = re.compile(r"(?<![A-Za-z0-9_])(?:revision|remote_code)[\"']?\s*=\s*[\"']$")
COMMIT_SETTINGS = ("revision", "remote_code")
"""Settings where 40 hex digits are a commit."""


def looks_secret(text: str, setting: str) -> bool:
    """Whether a string value may be an access token or a key: `hf_` or `sk-` with 20 more characters, or 40 hex digits."""
    return _TOKEN.search(text) is not None or (setting not in COMMIT_SETTINGS and _HEX.search(text) is not None)


def exposed_secrets(root: Table) -> Iterator[Diagnostic]:
    """One W0406 for every written string that may be a secret."""
    for path, node in walk(root):
        if not isinstance(node, Scalar) or not isinstance(node.value, str) or node.reference is not None:
            continue
        if looks_secret(node.value, path.rpartition(".")[2]):
            hint = "write `${secret:NAME}` where the setting takes a secret, and set NAME in the environment"
            yield Diagnostic(Code.EXPOSED_SECRET, "this looks like a secret", node.span, path, help=hint)


def masked(text: str) -> str:
    """The text with every suspected secret replaced by asterisks of the same length."""
    return _HEX.sub(_stars, _TOKEN.sub(_stars, text))


def masked_value(text: str, setting: str) -> str:
    """Like `masked`, for the value of a setting: commits stay readable in `COMMIT_SETTINGS`."""
    return _TOKEN.sub(_stars, text) if setting in COMMIT_SETTINGS else masked(text)


def masked_line(text: str) -> str:
    """Like `masked`, for a source line: the commit of a `revision` stays readable."""

    def stars(match: re.Match[str]) -> str:
        return match.group() if _BEFORE_COMMIT.search(text, 0, match.start()) else _stars(match)

    return _HEX.sub(stars, _TOKEN.sub(_stars, text))


def _stars(match: re.Match[str]) -> str:
    return "*" * len(match.group())
