"""Finds a word of another framework, and the words inside a table of one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from prerl_spec.compiler.resolve.foreign.running import IN_TABLES, KINDS, MODELS, RUNS, TABLES
from prerl_spec.compiler.resolve.foreign.sampling import BATCHES, DATASETS, EVALUATIONS, SAMPLING
from prerl_spec.compiler.resolve.foreign.training import LOSSES, OPTIMIZERS, SCHEDULES
from prerl_spec.compiler.resolve.foreign.values import BOUNDS, NAMES, VALUES
from prerl_spec.compiler.resolve.foreign.word import ForeignTable, ForeignValue, ForeignWord, Home
from prerl_spec.language.document import Entry, Table, join_path
from prerl_spec.language.suggest import distance, fold

ALL = (*SAMPLING, *BATCHES, *DATASETS, *LOSSES, *OPTIMIZERS, *SCHEDULES, *MODELS, *RUNS, *EVALUATIONS)
SHORTEST_MISSPELT = 5
"""Letters of the shortest word that is known with one letter wrong: of shorter ones, too many others are a letter away."""


def _by_word() -> Mapping[str, Sequence[ForeignWord]]:
    senses: dict[str, list[ForeignWord]] = {}
    for word in ALL:
        senses.setdefault(fold(word.word), []).append(word)
    return senses


SENSES: Mapping[str, Sequence[ForeignWord]] = _by_word()
"""Word -> what it means, one for each table in which it means another key of ours; the first where it stands in none."""
_TABLES: Mapping[str, ForeignTable] = {table.word: table for table in TABLES}
_IN_TABLES: Mapping[tuple[str, str], ForeignWord] = dict(IN_TABLES)
_VALUES: Mapping[tuple[str, str], ForeignValue] = {(v.key, fold(v.value)): v for v in (*VALUES, *BOUNDS, *NAMES)}


class Inside(NamedTuple):
    """A key inside a table of another framework, and its path there: `rollout.n`; `word` is None if it is not known."""

    path: str
    key: str
    word: ForeignWord | None


def foreign_word(key: str, is_here: Callable[[Home], bool] | None = None) -> ForeignWord | None:
    """What a word of another framework means in a table: `is_here` says of a home whether it is that table."""
    senses = SENSES.get(fold(key), ())
    here = [word for word in senses if is_here is not None and word.home is not None and is_here(word.home)]
    return next(iter((*here, *senses)), None)


def word_in_table(table: str, key: str) -> ForeignWord | None:
    """What a key means elsewhere in a table of this name, where it is called otherwise here: `path` in `[model]`."""
    word = _IN_TABLES.get((table, key))
    return word if word is not None and word.ours != key else None


def misspelt_foreign_word(key: str, is_here: Callable[[Home], bool] | None = None) -> ForeignWord | None:
    """The word of another framework that the key is but for one letter; None for short ones, and where two words that
    mean different things are as near."""
    shared = dict.fromkeys(word for rest in _less_a_letter(fold(key)) for word in _by_rest().get(rest, ()))
    near = [word for word in shared if _is_misspelt(key, word)]
    found = [word for name in near if (word := foreign_word(name, is_here)) is not None]
    return found[0] if len({(word.ours, word.home) for word in found}) == 1 else None


def foreign_table(key: str) -> ForeignTable | None:
    near = [table for word, table in _TABLES.items() if _is_misspelt(key, word)]
    return _TABLES.get(fold(key)) or (near[0] if len(near) == 1 else None)


def foreign_value(key: str, value: object) -> ForeignValue | None:
    """What another framework means by a value of a key that is ours too, or by the name of a component of a kind."""
    return _VALUES.get((key, fold(str(value))))


def words_inside(entry: Entry, path: str = "") -> Iterator[Inside]:
    """The keys in a table, and in the tables in it, in file order; a table of which no key is known counts as a key."""
    where = join_path(path, entry.key)
    above = path.rpartition(".")[2]
    kind = next((KINDS[table] for table in reversed(path.split(".")) if table in KINDS), None)

    def is_here(home: Home) -> bool:
        return home.kind is not None and home.kind == kind

    word = _IN_TABLES.get((above, entry.key)) or foreign_word(entry.key, is_here)
    if isinstance(entry.value, Table):
        inner = [found for each in entry.value.entries.values() for found in words_inside(each, where)]
        is_known = any(found.word is not None for found in inner)
        yield from inner if is_known or word is None or not path else [Inside(where, entry.key, word)]
    elif path:
        yield Inside(where, entry.key, word or misspelt_foreign_word(entry.key, is_here))


@cache
def _by_rest() -> Mapping[str, Sequence[str]]:
    """What is left of a word, whole or less a letter -> the words: two that are a letter apart share one. A spec of many
    unknown keys would otherwise compare each with every word."""
    found: dict[str, list[str]] = {}
    for word in SENSES:
        for rest in _less_a_letter(word):
            found.setdefault(rest, []).append(word)
    return found


def _less_a_letter(word: str) -> Iterable[str]:
    """The word, and the word without each of its letters, in an order that is always the same."""
    return dict.fromkeys((word, *(word[:at] + word[at + 1 :] for at in range(len(word)))))


def _is_misspelt(key: str, word: str) -> bool:
    folded = fold(key)
    return len(folded) >= SHORTEST_MISSPELT and folded != word and distance(folded, word, 1) == 1
