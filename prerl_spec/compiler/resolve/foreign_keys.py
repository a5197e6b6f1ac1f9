"""Diagnoses keys and tables that are words of another framework: what they are here, and where that stands."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from functools import partial

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.component_names import Declared
from prerl_spec.compiler.resolve.foreign.lookup import foreign_table, foreign_word, misspelt_foreign_word
from prerl_spec.compiler.resolve.foreign.word import ForeignWord, Home
from prerl_spec.compiler.resolve.foreign_tables import foreign_table_error, tables_meant
from prerl_spec.errors import Diagnostic, Label, Suggestion
from prerl_spec.language.compose import names_component
from prerl_spec.language.document import Entry, Table, join_path, parent_path
from prerl_spec.language.spec import header_of
from prerl_spec.language.suggest import distance, fold
from prerl_spec.registry.settings import Setting

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
            return foreign_table_error(named, entry, where, self.homes), tables_meant(
                named, entry
            ) - table.entries.keys()
        is_here = partial(_is_home, where=where, declared=declared)
        word = foreign_word(entry.key, is_here)
        misspelt = misspelt_foreign_word(entry.key, is_here) if word is None else None
        if misspelt is not None and not self._is_nearly_ours(entry.key, close):
            word = misspelt
        if word is None or (isinstance(entry.value, Table) and names_component(entry.value)):
            return None
        stands_right = word.home is not None and is_here(word.home)
        is_home = stands_right and word.key in known
        if is_slip and not is_home:
            return None
        if word.ours and not stands_right:
            self.elsewhere[where] = word
        is_absent = is_home and word.key not in table.entries
        meant = {word.key} if is_absent else set()
        written = table.entries[word.key].span if is_home and not is_absent else None
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
                labels=(Label(written, f"`{word.key}` is written here"),) if written is not None else (),
                help="; ".join(filter(None, (hint, word.help))) or None,
                notes=(f"`{word.key}` is missing",) if is_missing else (),
                suggestions=self._suggestions(word, entry, is_home=is_home),
            ),
            meant,
        )

    def _is_nearly_ours(self, key: str, close: Sequence[str]) -> bool:
        """Whether the key is a letter away from one of this table, or of another."""
        return any(distance(fold(key), fold(k), 1) <= 1 for k in (*close, *self.homes))

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


def with_foreign_word(diagnostic: Diagnostic) -> Diagnostic:
    """The same diagnostic; of a `--set` to a path that is not there, with what its last key means elsewhere, if anything."""
    key = diagnostic.path.rpartition(".")[2]
    word = foreign_word(key) if diagnostic.code == Code.OVERRIDE_PATH and not diagnostic.suggestions else None
    return diagnostic if word is None else replace(diagnostic, caret=word.sentence(is_home=False), help=word.help)


def _is_home(home: Home, *, where: str, declared: Declared | None) -> bool:
    """Whether the table in which the key at `where` stands is this one."""
    if declared is not None:
        return home.fits(declared.kind, declared.use)
    return home.kind is None and header_of(parent_path(where)) == (home.section or "")
