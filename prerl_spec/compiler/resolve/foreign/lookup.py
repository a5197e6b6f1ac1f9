"""Finds a word of another framework, and the words inside a table of one."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from prerl_spec.compiler.resolve.foreign.running import IN_TABLES, MODELS, RUNS, TABLES
from prerl_spec.compiler.resolve.foreign.sampling import BATCHES, DATASETS, SAMPLING
from prerl_spec.compiler.resolve.foreign.training import LOSSES, OPTIMIZERS, SCHEDULES
from prerl_spec.compiler.resolve.foreign.values import BOUNDS, VALUES
from prerl_spec.compiler.resolve.foreign.word import ForeignTable, ForeignValue, ForeignWord
from prerl_spec.language.document import Entry, Table, join_path
from prerl_spec.language.suggest import fold

ALL = (*SAMPLING, *BATCHES, *DATASETS, *LOSSES, *OPTIMIZERS, *SCHEDULES, *MODELS, *RUNS)
WORDS: Mapping[str, ForeignWord] = {fold(word.word): word for word in ALL}
_TABLES: Mapping[str, ForeignTable] = {table.word: table for table in TABLES}
_IN_TABLES: Mapping[tuple[str, str], ForeignWord] = dict(IN_TABLES)
_VALUES: Mapping[tuple[str, str], ForeignValue] = {(v.key, fold(v.value)): v for v in (*VALUES, *BOUNDS)}


class Inside(NamedTuple):
    """A key inside a table of another framework, and its path there: `rollout.n`; `word` is None if it is not known."""

    path: str
    key: str
    word: ForeignWord | None


def foreign_word(key: str) -> ForeignWord | None:
    return WORDS.get(fold(key))


def foreign_table(key: str) -> ForeignTable | None:
    return _TABLES.get(fold(key))


def foreign_value(key: str, value: object) -> ForeignValue | None:
    """What another framework means by a value of a key that is ours too."""
    return _VALUES.get((key, fold(str(value))))


def words_inside(entry: Entry, path: str = "") -> Iterator[Inside]:
    """The keys in a table, and in the tables in it, in file order."""
    where = join_path(path, entry.key)
    if isinstance(entry.value, Table):
        for inner in entry.value.entries.values():
            yield from words_inside(inner, where)
    elif path:
        above = path.rpartition(".")[2]
        yield Inside(where, entry.key, _IN_TABLES.get((above, entry.key)) or foreign_word(entry.key))
