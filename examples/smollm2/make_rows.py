"""The sums of specs/smollm2.toml: `rows.jsonl` to train on, `heldout.jsonl` to score.

    python examples/smollm2/make_rows.py          # writes both files beside itself, always the same

A sum is written with its larger number first, once, so that no sum of one file stands in the other with its numbers
swapped; the three worked lines of the prompt are in neither.
"""

import json
import random
from pathlib import Path

LARGER = range(1, 30)
SMALLER = range(1, 10)
WORKED = ((4, 3), (8, 6), (5, 1))
"""The sums that every prompt shows with their results: the same in specs/smollm2.toml and tasks/sums.yaml."""
HELD_OUT = 64


def sums() -> list[tuple[int, int]]:
    """The 222 pairs (a, b) with a ≥ b that are asked, in order."""
    return [(a, b) for a in LARGER for b in SMALLER if b <= a and (a, b) not in WORKED]


def split() -> dict[str, list[tuple[int, int]]]:
    """The pairs of each file, without its ending: 158 to train on, 64 held out."""
    pairs = sums()
    random.Random(0).shuffle(pairs)
    return {"rows": pairs[HELD_OUT:], "heldout": pairs[:HELD_OUT]}


def text(pairs: list[tuple[int, int]]) -> str:
    """JSON Lines with the columns `question` ("17 + 6") and `answer` ("23")."""
    return "".join(json.dumps({"question": f"{a} + {b}", "answer": str(a + b)}) + "\n" for a, b in pairs)


if __name__ == "__main__":
    for name, pairs in split().items():
        (Path(__file__).parent / f"{name}.jsonl").write_text(text(pairs), encoding="utf-8")
