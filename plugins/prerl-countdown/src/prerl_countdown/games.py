"""Games: how one is drawn, its gold answer, and the part of the data it belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Literal

Part = Literal["prompts", "corpus", "heldout"]

SHARES: dict[Part, range] = {"corpus": range(8), "prompts": range(8, 14), "heldout": range(14, 16)}
"""Sixteenths of all games. A game's part is a function of its hash, so no seed puts a held-out game into training."""


@dataclass(frozen=True)
class Game:
    """Numbers, a target, and one solution: `Game((3, 5, 8), 16, "(5-3)*8")`."""

    numbers: tuple[int, ...]
    target: int
    solution: str

    @property
    def gold(self) -> str:
        """`16 from 3 5 8`: what the verifier reads."""
        return f"{self.target} from {' '.join(map(str, self.numbers))}"

    @property
    def part(self) -> Part:
        key = f"{self.target} from {' '.join(map(str, sorted(self.numbers)))}"
        sixteenth = blake2b(key.encode(), digest_size=8).digest()[0] % 16
        return next(part for part, share in SHARES.items() if sixteenth in share)


class BadGold(ValueError):
    """A gold answer that is not `TARGET from NUMBER NUMBER …`."""


def read_gold(gold: str) -> tuple[int, tuple[int, ...]]:
    """Target and numbers. Raises BadGold."""
    target, _, numbers = gold.partition(" from ")
    dealt = numbers.split()
    if not dealt or not all(n.isascii() and n.isdigit() and len(n) <= 9 for n in (target.strip(), *dealt)):
        raise BadGold(f'{gold!r} is not a gold answer of the form "16 from 3 5 8"')
    return int(target), tuple(map(int, dealt))


def draw_game(seed: str, part: Part, least: int, most: int, largest: int) -> Game:
    """A game of this part with `least` to `most` numbers from 1 to `largest`, solvable by construction.

    Uses only `random()`: Python guarantees the same numbers in every version for no other method.
    """
    random = Random(seed)
    while True:
        count = least + int(random.random() * (most - least + 1))
        dealt = tuple(1 + int(random.random() * largest) for _ in range(count))
        value, solution = _combined(dealt, random)
        if 1 <= value <= largest * 4:
            order = sorted(range(count), key=lambda _: random.random())
            game = Game(tuple(dealt[i] for i in order), value, solution)
            if game.part == part:
                return game


def _combined(dealt: Sequence[int], random: Random) -> tuple[int, str]:
    """All numbers combined by random operations in a random order: the value, and its expression.

    No intermediate value is negative or a fraction: where the drawn operation would produce one, the two are added.
    """
    pieces = [(number, str(number)) for number in dealt]
    while len(pieces) > 1:
        left, left_text = pieces.pop(int(random.random() * len(pieces)))
        right, right_text = pieces.pop(int(random.random() * len(pieces)))
        match "+-*/"[int(random.random() * 4)]:
            case "-" if left >= right:
                value, sign = left - right, "-"
            case "*":
                value, sign = left * right, "*"
            case "/" if right > 0 and left % right == 0:
                value, sign = left // right, "/"
            case _:
                value, sign = left + right, "+"
        pieces.append((value, f"({left_text}{sign}{right_text})"))
    value, written = pieces[0]
    return value, written[1:-1]
