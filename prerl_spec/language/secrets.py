"""Detects values that look like secrets, and masks them in all output."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic
from prerl_spec.language.document import Scalar, Table, walk

_TOKEN = re.compile(r"(?<![A-Za-z0-9])(?:hf_|sk-)[A-Za-z0-9_-]{20,}")
_HEX = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{40}(?![0-9A-Fa-f])")
_BEFORE_COMMIT = re.compile(r"(?<![A-Za-z0-9_])(?:revision|remote_code)[\"']?\s*=\s*[\"']$")
_URL_PASSWORD = re.compile(r"(?<=://)[^\s/?#@\"'`]+(?=@)|(?<=://)[^\s/?#@\"'`]*:(?!\d+/)[^\s@\"'`]+(?=@)")
"""`user:password` or a token before the host."""
_URL_QUERY = re.compile(
    r"(://[^\s\"'`]*?[?&](?:[\w-]*(?:token|key|password|passwd|secret|signature|credential|auth)|sig|pwd)=)([^\s&#\"'`]+)",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    r"(?<![A-Za-z_-])(?!(?:bos|eos|pad|unk|sep|cls|mask)_token)((?:[A-Za-z]+[_-])*(?:token|password|passwd|secret|(?<![A-Za-z])key|"
    r"api[_-]?key|credential)s?[\"']?\s*=\s*[\"'])(?!\$\{)([^\"']+)",
    re.IGNORECASE,
)
"""The value of a key that is named like a secret; a reference stays readable."""
_OF_ROWS_AND_TEXTS = re.compile(
    r"(?:(?:prompt|question|response|answer|label|input|output|target|text|message|data|image|video|audio|reward|reward_fn|sort|"
    r"group)s?[_-]keys?|(?:stop|think|image|video|audio|mask|special|start|end)[_-]tokens?)[\"']?\s*=",
    re.IGNORECASE,
)
"""Names of keys that name a column of the data, or a text that the tokenizer knows."""
_NAME = re.compile(r"[A-Za-z_.]{1,40}|<[^<>\s]{1,40}>")
"""What names a column, a path of columns or a special token."""
COMMIT_SETTINGS = ("revision", "remote_code")
"""Settings where 40 hex digits are a commit."""


def looks_secret(text: str, setting: str) -> bool:
    """Whether a string value may hold an access token or a key: `hf_` or `sk-` with 20 more characters, 40 hex digits, or
    a URL with a user, a password, or a query such as `?token=...`."""
    if setting not in COMMIT_SETTINGS and _HEX.search(text) is not None:
        return True
    return any(pattern.search(text) is not None for pattern in (_TOKEN, _URL_PASSWORD, _URL_QUERY))


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
    return _HEX.sub(_stars, without_tokens(text))


def masked_value(text: str, setting: str) -> str:
    """Like `masked`, for the value of a setting: commits stay readable in `COMMIT_SETTINGS`."""
    return without_tokens(text) if setting in COMMIT_SETTINGS else masked(text)


def masked_line(text: str) -> str:
    """Like `masked`, for source lines: the commit of a `revision` stays readable, the value of a key such as `password`
    does not."""

    def stars(match: re.Match[str]) -> str:
        return match.group() if _BEFORE_COMMIT.search(text, 0, match.start()) else _stars(match)

    text = _ASSIGNED.sub(_stars_of_secret, without_tokens(text))
    return _HEX.sub(stars, text)


def masked_json(value: Any) -> Any:
    """A JSON value with `without_tokens` applied to every string in it."""
    if isinstance(value, str):
        return without_tokens(value)
    if isinstance(value, Mapping):
        return {key: masked_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked_json(inner) for inner in value]
    return value


def without_tokens(text: str) -> str:
    """The text with access tokens, and passwords and tokens in URLs, replaced by asterisks; 40 hex digits, which are
    commits in most texts, stay readable."""
    text = _URL_QUERY.sub(_stars_of_value, _URL_PASSWORD.sub(_stars, text))
    return _TOKEN.sub(_stars, text)


def _stars_of_secret(match: re.Match[str]) -> str:
    """The value of a key that is named like a secret, unless its name is that of a column, and so is its value."""
    name, value = match.group(1), match.group(2)
    is_name = _OF_ROWS_AND_TEXTS.fullmatch(name.rstrip("\"'").rstrip()) and _NAME.fullmatch(value)
    return match.group() if is_name else _stars_of_value(match)


def _stars_of_value(match: re.Match[str]) -> str:
    return match.group(1) + "*" * len(match.group(2))


def _stars(match: re.Match[str]) -> str:
    return "*" * len(match.group())
