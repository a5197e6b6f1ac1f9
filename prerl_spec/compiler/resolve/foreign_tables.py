"""Says of a table that holds words of another framework what each of them is here, in one error."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.foreign.lookup import Inside, foreign_word, word_in_table, words_inside
from prerl_spec.compiler.resolve.foreign.word import ForeignTable, ForeignWord, Home, possessive
from prerl_spec.compiler.resolve.unknown_names import noun
from prerl_spec.errors import Diagnostic, Span, Suggestion
from prerl_spec.language.compose import names_component
from prerl_spec.language.document import Entry, Invalid, Scalar, Table, join_path
from prerl_spec.language.suggest import fold, one_of
from prerl_spec.registry.component import Kind
from prerl_spec.registry.entry_points import PluginFault, Registry, load
from prerl_spec.registry.settings import settings_of

MOST_INSIDE = 40
"""Keys of a foreign table that are translated one by one."""


def foreign_table_error(table: ForeignTable, entry: Entry, where: str, homes: Mapping[str, list[str]]) -> Diagnostic:
    """Diagnoses a table of another framework, with ours for each known word in it. `homes`: keys of ours -> their tables
    in words."""
    inside = [(found.path, told) for found in words_inside(entry) if (told := _instead(found, homes))]
    return Diagnostic(
        Code.UNKNOWN_KEY,
        f"unknown table `{entry.key}`",
        entry.span,
        where,
        caret=table.sentence(),
        notes=_at_most(f"`{path}`: {told}" for path, told in inside),
        suggestions=(Suggestion(table.sentence(), table.replacement),) if table.ours else (),
    )


class Strays(NamedTuple):
    """The errors for keys of a table of named components at which no component is meant, and the paths of these keys."""

    diagnostics: tuple[Diagnostic, ...] = ()
    paths: frozenset[str] = frozenset()


def strays_among_names(table: Table, path: str, key: Span | None, kind: Kind, registry: Registry) -> Strays:
    """Diagnoses `[data]` with `train_files`, or `question`, in it: words of another framework, and settings of a component
    of the kind, where its name belongs. One error for the table that has no component besides; else one a key."""
    names = registry.names(kind)
    plain = {k: e for k, e in table.entries.items() if not (isinstance(e.value, Invalid) or _names_one_of(names, e))}
    words = {k: word for k, word in words_in(table, path, lambda home: home.kind == kind).items() if k in plain}
    own = {k for k, e in plain.items() if not isinstance(e.value, Table) and k in _settings_of_kind(kind, registry)}
    if not words and not own:
        return Strays()
    header = f"`[{path}.train]`"
    named = [k for k, e in table.entries.items() if k not in plain or (isinstance(e.value, Table) and k not in words)]
    if named:
        strays = [k for k in plain if k in words or k in own]
        found = [_stray(table.entries[k], join_path(path, k), words.get(k), header) for k in strays]
        return Strays(tuple(found), frozenset(d.path for d in found))
    if words:
        caret = f"{whose(words.values())} words; here a {noun(kind)} is a table: {header}"
    else:
        keys = one_of(k for k in plain if k in own).replace(" or ", " and ")
        caret = f"{keys} {'belong' if len(own) > 1 else 'belongs'} in {header}"
    message, notes = f"`{path}` holds no {noun(kind)}", notes_on(words, path, lambda _: False)
    return Strays((Diagnostic(Code.UNKNOWN_KEY, message, table.header or key, path, caret=caret, notes=notes),))


def _stray(entry: Entry, where: str, word: ForeignWord | None, header: str) -> Diagnostic:
    sentence = f"`{entry.key}` belongs in {header}" if word is None else word.sentence(is_home=False)
    return Diagnostic(
        Code.UNKNOWN_KEY,
        f"unknown key `{entry.key}`",
        entry.span,
        where,
        caret=sentence,
        help=None if word is None else word.help,
        suggestions=(Suggestion(sentence, ""),) if word is None or word.ours else (),
    )


def _names_one_of(names: Sequence[str], entry: Entry) -> bool:
    """Whether the value names a component: a table with `use`, or the short form, `train = "jsonl"`."""
    value = entry.value
    if isinstance(value, Table):
        return names_component(value)
    return isinstance(value, Scalar) and isinstance(value.value, str) and fold(value.value.partition("@")[0]) in names


def _settings_of_kind(kind: Kind, registry: Registry) -> set[str]:
    found: set[str] = set()
    for name in registry.names(kind):
        with suppress(PluginFault):
            found.update(settings_of(load(registry.providers(kind, name)[0])))
    return found


def words_in(table: Table, path: str, is_here: Callable[[Home], bool]) -> dict[str, ForeignWord]:
    """The keys of a table of ours that are words of another framework."""
    found = {key: word_in_table(path, key) or foreign_word(key, is_here) for key in table.entries}
    return {key: word for key, word in found.items() if word is not None}


def notes_on(words: Mapping[str, ForeignWord], path: str, is_here: Callable[[Home], bool]) -> tuple[str, ...]:
    """What each of the words in the table at `path` is here."""
    return _at_most(
        f"`{join_path(path, key)}`: {word.instead(is_home=word.home is not None and is_here(word.home))}"
        for key, word in words.items()
    )


def whose(words: Iterable[ForeignWord]) -> str:
    """verl's: the frameworks that have most of the words."""
    houses: list[str] = [house for word in words for house in word.houses]
    most = max(map(houses.count, houses))
    return possessive([house for house in dict.fromkeys(houses) if houses.count(house) == most])


def tables_meant(table: ForeignTable, entry: Entry) -> set[str]:
    """The top-level tables that a foreign one stands for: none of them is missing as well."""
    homes = [found.word.home for found in words_inside(entry) if found.word is not None]
    return {name for name in (table.ours, *(home.table for home in homes if home is not None)) if name}


def _instead(found: Inside, homes: Mapping[str, Sequence[str]]) -> str:
    """What stands here for a key of a foreign table; "" for one that is not known."""
    if found.word is not None:
        return found.word.instead()
    known = homes.get(found.key, [])
    return f"here `{found.key}` {known[0]}" if known else ""


def _at_most(told: Iterable[str]) -> tuple[str, ...]:
    notes = list(told)
    more = len(notes) - MOST_INSIDE
    return (*notes[:MOST_INSIDE], *([f"and {more} more: docs/coming-from.md"] if more > 0 else []))
