"""Diagnoses keys and tables that are words of another framework: what they are here, and where that stands."""

from collections.abc import Mapping, Sequence, Set

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.component_names import Declared
from prerl_spec.compiler.resolve.foreign.lookup import Inside, foreign_table, foreign_word, words_inside
from prerl_spec.compiler.resolve.foreign.word import ForeignTable, ForeignWord
from prerl_spec.errors import Diagnostic, Suggestion
from prerl_spec.language.compose import names_component
from prerl_spec.language.document import Entry, Table, join_path, parent_path
from prerl_spec.language.spec import header_of
from prerl_spec.language.suggest import distance, fold
from prerl_spec.registry.settings import Setting

MOST_INSIDE = 8
"""Keys of a foreign table that are translated one by one."""
MOST_PATHS = 3


class ForeignKeys:
    """Answers unknown keys, with what the index of all keys of a spec says: key -> its tables in words, and its paths."""

    def __init__(self, homes: Mapping[str, list[str]], paths: Mapping[str, list[str]]) -> None:
        self.homes, self.paths = homes, paths
        self.elsewhere: dict[str, ForeignWord] = {}
        """Path of an unknown key -> the word that it is, where ours belongs in another table."""

    def answer(
        self,
        table: Table,
        entry: Entry,
        settings: Mapping[str, Setting],
        known: Sequence[str],
        where: str,
        declared: Declared | None,
        close: Sequence[str],
    ) -> tuple[Diagnostic, Set[str]] | None:
        """The diagnostic of a word of another framework, and the absent keys of this table that it stands for.

        None for any other word, for one that is all but a word of this table, and for one that is ours in another.
        """
        if entry.key in self.homes:
            return None
        # Beside `betas`, `beta` is that word with a letter less; `lr_scheduler` is far enough from `schedule`.
        is_slip = any(distance(fold(entry.key), fold(k), 1) <= 1 for k in close)
        is_top = where == join_path("", entry.key)
        named = foreign_table(entry.key) if isinstance(entry.value, Table) and is_top and not is_slip else None
        if named is not None:
            return self._table(named, entry, where), _tables_meant(named, entry) - table.entries.keys()
        word = foreign_word(entry.key)
        if word is None or (isinstance(entry.value, Table) and names_component(entry.value)):
            return None
        stands_right = _stands_right(word, where, declared)
        is_home = stands_right and word.key in known
        if is_slip and not is_home:
            return None
        if word.ours and not stands_right:
            self.elsewhere[where] = word
        is_absent = is_home and word.key not in table.entries
        meant = {word.key} if is_absent else set()
        is_missing = is_absent and word.key in settings and settings[word.key].required
        hint = declared.component.hints.get(entry.key) if declared is not None else None
        return (
            Diagnostic(
                Code.UNKNOWN_KEY,
                f"unknown key `{entry.key}`",
                entry.span,
                where,
                # A preset without the part that the word is about: its own hint says what to write instead.
                caret=word.whose if stands_right and not is_home and hint else word.sentence(is_home=is_home),
                help="; ".join(filter(None, (hint, word.help))) or None,
                notes=(f"`{word.key}` is missing",) if is_missing else (),
                suggestions=self._suggestions(word, entry, is_home=is_home),
            ),
            meant,
        )

    def _suggestions(self, word: ForeignWord, entry: Entry, *, is_home: bool) -> tuple[Suggestion, ...]:
        """Ours in place of the word; of a `--set`, the paths by which it is reached."""
        if not word.ours:
            return ()
        sentence = word.sentence(is_home=is_home)
        if is_home:
            return (Suggestion(sentence, word.ours),)
        table = word.home.table if word.home is not None else ""
        from_set = entry.span is not None and entry.span.file.startswith("<--set")
        paths = [path for path in self.paths.get(word.key, []) if table and path.partition(".")[0] == table]
        return tuple(Suggestion(sentence, path) for path in (paths[:MOST_PATHS] if from_set and paths else [""]))

    def _table(self, table: ForeignTable, entry: Entry, where: str) -> Diagnostic:
        """Diagnoses a table of another framework, with ours for each known word in it."""
        inside = [(found.path, told) for found in words_inside(entry) if (told := self._instead(found))]
        notes = [f"`{path}`: {told}" for path, told in inside[:MOST_INSIDE]]
        if len(inside) > MOST_INSIDE:
            notes.append(f"and {len(inside) - MOST_INSIDE} more: docs/coming-from.md")
        return Diagnostic(
            Code.UNKNOWN_KEY,
            f"unknown table `{entry.key}`",
            entry.span,
            where,
            caret=table.sentence(),
            notes=tuple(notes),
            suggestions=(Suggestion(table.sentence(), table.ours),) if table.ours else (),
        )

    def _instead(self, found: Inside) -> str:
        """What stands here for a key of a foreign table; "" for one that is not known."""
        if found.word is not None:
            return found.word.instead
        homes = self.homes.get(found.key, [])
        return f"here `{found.key}` {homes[0]}" if homes else ""


def _tables_meant(table: ForeignTable, entry: Entry) -> set[str]:
    """The top-level tables that a foreign one stands for: none of them is missing as well."""
    homes = [found.word.home for found in words_inside(entry) if found.word is not None]
    return {name for name in (table.ours, *(home.table for home in homes if home is not None)) if name}


def _stands_right(word: ForeignWord, where: str, declared: Declared | None) -> bool:
    """Whether the table in which the word stands is the one where ours belongs."""
    home = word.home
    if home is None:
        return False
    if declared is not None:
        return home.fits(declared.kind, declared.use)
    return home.kind is None and header_of(parent_path(where)) == (home.section or "")
