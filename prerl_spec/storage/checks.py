"""The short hashes of events, seals and steps: they find accidents, not attacks."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

START = "0" * 16
"""The chain before the first line or entry."""


def sha256_start(content: bytes) -> str:
    """The first 64 bits of SHA-256, in hexadecimal."""
    return sha256(content).hexdigest()[:16]


def check_of(value: Mapping[str, Any]) -> str:
    """The check of an object: of its compact JSON, keys in their order."""
    return sha256_start(json.dumps(value).encode("ascii"))


def next_chain(chain: str, check: str) -> str:
    """The chain after a line or entry, from the chain before it and its check."""
    return sha256_start(chain.encode() + check.encode())
