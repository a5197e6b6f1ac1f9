"""Suggests known names for a misspelt word."""

from collections.abc import Iterable, Sequence

MOST_NAMED = 12
"""Names that a hint lists, where there may be many."""


def fold(word: str) -> str:
    """The word normalised for comparison: case, `-`, `_` and spaces do not matter."""
    return word.strip().casefold().replace("-", "_").replace(" ", "_")


def nearest(word: str, names: Iterable[str]) -> tuple[str, ...]:
    """At most three names close to the word: equal once folded, else all nearest by edit distance (as written, or
    folded) within max(1, len(word) // 3), in order of declaration."""
    names = list(dict.fromkeys(names))
    folded = [n for n in names if fold(n) == fold(word)]
    if folded:
        return tuple(folded[:3])
    limit = max(1, len(word) // 3)
    distances = {n: _nearer(word, n, limit) for n in names}
    best = min(distances.values(), default=limit + 1)
    return tuple(n for n in names if distances[n] == best)[:3] if best <= limit else ()


def _nearer(word: str, name: str, limit: int) -> int:
    """The distance as written or folded, whichever is less."""
    written = distance(word, name, limit)
    folded = fold(word), fold(name)
    return written if folded == (word, name) else min(written, distance(*folded, limit))


def distance(a: str, b: str, limit: int) -> int:
    """Edit distance with a transposition of neighbours as one (optimal string alignment); limit + 1 for anything more."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before, last = list(range(len(b) + 1)), list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before, last = last, row
    return min(last[-1], limit + 1)


def one_of(names: Iterable[str]) -> str:
    """`a`, `b` or `c`, each in backticks."""
    words = [f"`{n}`" for n in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}" if words else "nothing"


def choice(name: str, known: Sequence[str]) -> str:
    """`did you mean `dsrl`? choose from: grpo, dsrl`: what may have been meant by a name, and what there is."""
    near = nearest(name, known)
    more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
    words = f"choose from: {', '.join(known[:MOST_NAMED])}{more}"
    return f"did you mean {one_of(near)}? {words}" if near else words
