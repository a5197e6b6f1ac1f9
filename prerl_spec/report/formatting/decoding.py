"""How responses were sampled, in words."""

import json
from collections.abc import Mapping
from typing import Any


def sampled_words(decoding: Mapping[str, Any]) -> str:
    """`{"temperature": 1.0, "max_new_tokens": 110}` as "max_new_tokens 110, temperature 1.0"."""
    return ", ".join(
        f"{k} {v if isinstance(v, str) else json.dumps(v, sort_keys=True)}" for k, v in sorted(decoding.items())
    )
