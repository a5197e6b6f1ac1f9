"""Finds the places of a spec where our word for one of another framework belongs."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from prerl_spec.compiler.resolve.component_names import Declared
from prerl_spec.compiler.resolve.foreign.word import ForeignWord
from prerl_spec.errors import Span
from prerl_spec.language.document import Array, Table, join_path


class Place(NamedTuple):
    """A table where a key of ours belongs, and the span that stands for it: the key if it is written there."""

    key_path: str
    span: Span | None
    is_written: bool


def homes_of(word: ForeignWord, root: Table, declared: Mapping[str, Declared]) -> Iterator[Place]:
    """Every table of the spec that takes our key for the word, in the order in which they were read."""
    home = word.home
    if home is None or not word.ours:
        return
    if home.section is not None:
        node = root.get(home.section)
        tables = node.items if isinstance(node, Array) else [node]
        for number, table in enumerate(tables):
            if isinstance(table, Table):
                path = join_path(home.section, number) if isinstance(node, Array) else home.section
                anchor = table.header or table.span or root.entries[home.section].span
                yield _place(word, table, path, anchor)
        return
    for path, found in declared.items():
        if home.kind == found.kind and home.fits(found.kind, found.use) and found.use_span is not None:
            yield _place(word, found.table, path, found.anchor)


def _place(word: ForeignWord, table: Table, path: str, anchor: Span | None) -> Place:
    entry = table.entries.get(word.key)
    if entry is not None and word.key != "use":
        return Place(join_path(path, word.key), entry.span, is_written=True)
    return Place(join_path(path, word.key), anchor, is_written=False)
