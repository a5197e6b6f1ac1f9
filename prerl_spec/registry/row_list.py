"""An in-memory data set, which most data components open."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Literal

from prerl_spec.types import Rendering, Row


@dataclass(frozen=True)
class RowList:
    """A DataSet of these rows: `RowList([Row("example, row 0", question="2+2?", gold="4")])`."""

    rows: Sequence[Row]
    rendering: Rendering = field(default_factory=Rendering)
    max_prompt_tokens: int | None = None
    over_long: Literal["error", "drop"] = "error"
    on_bad_row: Literal["error", "drop"] = "error"
    dropped: int = 0

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content of the rows and their rendering, not of their origin."""
        contents = [[row.question, row.gold, row.document, dict(row.fields)] for row in self.rows]
        rendered = [self.rendering.chat, self.rendering.system, self.rendering.template]
        return sha256(json.dumps([rendered, contents], sort_keys=True, default=dict).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> Row:
        return self.rows[index]
