"""The rows of `arithmetic_chains`: made by number, each the same whenever it is asked for."""

import json
from functools import cached_property
from hashlib import sha256
from typing import Literal

from prerl_components.data.chain_corpus import LONGER, RESPONSE_ONLY, write_response
from prerl_components.data.chains import MAX_STEPS, Draws, Part, draw_chain
from prerl_spec.sdk import Rendering, Row

NUM_ROWS: dict[Part, int] = {"corpus": 65_536, "prompts": 8_192, "easy": 512, "hard": 512}
"""The corpus is three times what the quickstart's pre-training reads, so that it sees no document twice."""

NUM_FINGERPRINTED = 256


class ChainRows:
    """A DataSet of chains with `steps` = (least, most) steps; a row costs some 20 to 200 microseconds."""

    rendering = Rendering(chat="off")
    max_prompt_tokens: int | None = None
    over_long: Literal["error", "drop"] = "error"
    on_bad_row: Literal["error", "drop"] = "error"
    dropped = 0

    def __init__(self, part: Part, seed: int, steps: tuple[int, int], name: str) -> None:
        self.part = part
        self.seed = seed
        self.steps = steps
        self.name = name

    def __len__(self) -> int:
        return NUM_ROWS[self.part]

    def row(self, index: int) -> Row:
        """Row `index` from 0; raises IndexError behind the last."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} rows, not row {index}")
        part, (least, most) = self.part, self.steps
        draws = Draws("arithmetic_chains", part, self.seed, least, most, index)
        where = f"{self.name}, row {index}"
        if part != "corpus":
            chain = draw_chain(draws, part, draws.between(least, most))
            fields = {"question": chain.question, "answer": str(chain.answer)}
            return Row(where, question=chain.question, gold=str(chain.answer), fields=fields)
        if draws.chance(LONGER):
            least, most = min(most + 1, MAX_STEPS), min(most + 3, MAX_STEPS)
        chain = draw_chain(draws, part, draws.between(least, most))
        question = None if draws.chance(RESPONSE_ONLY) else chain.question
        return Row(where, question=question, document=write_response(chain, draws))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the settings and the first 256 rows: all others follow from the same settings and code."""
        rows = [self.row(i) for i in range(NUM_FINGERPRINTED)]
        settings = {"part": self.part, "seed": self.seed, "steps": self.steps}
        said = [settings, len(self), [(r.question, r.gold, r.document) for r in rows]]
        return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
