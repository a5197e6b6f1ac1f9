"""Links a word of another framework to the table of the spec where ours belongs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.component_names import Declared
from prerl_spec.compiler.resolve.foreign.word import ForeignWord
from prerl_spec.errors import Diagnostic, Label, Span
from prerl_spec.language.document import Array, Table, join_path


class Place(NamedTuple):
    """A table where a key of ours belongs, and the span that stands for it: the key if it is written there."""

    key_path: str
    span: Span | None
    is_written: bool


def linked(
    diagnostics: Sequence[Diagnostic],
    words: Mapping[str, ForeignWord],
    root: Table,
    declared: Mapping[str, Declared],
) -> list[Diagnostic]:
    """The diagnostics with a label at each unknown key that is a word of another framework (path -> word): where ours
    belongs, or is written. A required key that such a word stands for is part of that error, and none of its own."""
    missing = {d.path for d in diagnostics if d.code == Code.MISSING_KEY}
    absorbed: set[str] = set()
    found: list[Diagnostic] = []
    for diagnostic in diagnostics:
        word = words.get(diagnostic.path) if diagnostic.code == Code.UNKNOWN_KEY else None
        places = [] if word is None else list(homes_of(word, root, declared))
        absent = next((p for p in places if p.key_path in missing - absorbed), None)
        place = absent or next(iter(places), None)
        if word is None or place is None or place.span is None:
            found.append(diagnostic)
            continue
        what = "is written here" if place.is_written else "belongs here" if absent is None else "is missing here"
        absorbed |= set() if absent is None else {absent.key_path}
        found.append(replace(diagnostic, labels=(*diagnostic.labels, Label(place.span, f"`{word.key}` {what}"))))
    return [d for d in found if d.code != Code.MISSING_KEY or d.path not in absorbed]


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
