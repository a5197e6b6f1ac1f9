"""Diagnoses unknown keys: the code of the error, and the key that was probably meant, here or by another framework."""

from collections.abc import Mapping

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.component_names import RESERVED, Declarations, Declared
from prerl_spec.compiler.resolve.foreign.lookup import Inside, foreign_table, foreign_word, words_inside
from prerl_spec.compiler.resolve.foreign.word import ForeignWord
from prerl_spec.errors import Diagnostic, Suggestion
from prerl_spec.language.compose import names_component
from prerl_spec.language.document import Array, Entry, Invalid, Table, join_path, parent_path
from prerl_spec.language.spec import Spec, header_of
from prerl_spec.language.suggest import distance, fold, nearest, one_of
from prerl_spec.registry.settings import Setting, settings_of

MOST_HOMES = 2
MOST_PATHS = 3
MOST_INSIDE = 8
"""Words of a foreign table that are translated one by one."""


class Keys:
    """Index of all keys of the language and of the components that the spec names."""

    def __init__(self, declarations: Declarations) -> None:
        self.homes: dict[str, list[str]] = {}
        """Key -> the tables that define it, such as "in `[optimizer]`": those of the core first."""
        self.paths: dict[str, list[str]] = {}
        """Key -> the paths by which `--set` reaches it, in the same order."""
        self.foreign: dict[str, ForeignWord] = {}
        """Path of an unknown key -> the word of another framework that it is, where ours belongs in another table."""
        self._belong(settings_of(Spec), "at the top level", "")
        for key, setting in settings_of(Spec).items():
            if setting.section is not None:
                listed = setting.takes_list
                self._belong(
                    settings_of(setting.section),
                    f"in `[[{key}]]`" if listed else f"in `[{key}]`",
                    None if listed else key,
                )
        for path, declared in declarations.found.items():
            self._belong(settings_of(declared.component), f"in `[{header_of(path)}]`", path)

    def _belong(self, settings: Mapping[str, Setting], home: str, path: str | None) -> None:
        """Notes that a table has these keys; `path` is its own, None for a table of a list."""
        for key in settings:
            homes = self.homes.setdefault(key, [])
            if home not in homes:
                homes.append(home)
            if path is not None:
                self.paths.setdefault(key, []).append(join_path(path, key) if path else key)

    def unknown(
        self, table: Table, settings: Mapping[str, Setting], path: str, declared: Declared | None
    ) -> tuple[list[Diagnostic], set[str]]:
        """A diagnostic for every unknown key of a table, and the absent keys that were probably meant."""
        known = [*settings, *(RESERVED if declared else ())]
        found: list[Diagnostic] = []
        meant: set[str] = set()
        for key, entry in table.entries.items():
            if key in known or (isinstance(entry.value, Invalid) and entry.value.has_doubtful_key):
                continue
            where = join_path(path, key)
            former = _former(declared, entry, where) if declared is not None else None
            if former is not None:
                found.append(former)
                meant.update(s.replacement for s in former.suggestions)
                continue
            close = nearest(key, known)
            diagnostic = self._foreign(table, entry, known, settings, where, declared, close)
            if diagnostic is None:
                diagnostic = self._unknown(table, entry, settings, where, declared, close)
                meant.update(k for k in close if k not in table.entries)
            else:
                meant.update(self._meant_by(entry, where, declared, table))
            found.append(diagnostic)
        return found, meant

    def _foreign(
        self,
        table: Table,
        entry: Entry,
        known: list[str],
        settings: Mapping[str, Setting],
        where: str,
        declared: Declared | None,
        close: tuple[str, ...],
    ) -> Diagnostic | None:
        """Diagnoses a word of another framework; None for any other, and for one that is all but a word of this table, or
        ours in another one."""
        if entry.key in self.homes:
            return None
        # Beside `betas`, `beta` is that word with a letter less; `lr_scheduler` is far enough from `schedule`.
        is_slip = any(distance(fold(entry.key), fold(k), 1) <= 1 for k in close)
        if isinstance(entry.value, Table):
            return self._foreign_table(entry, where) if where == join_path("", entry.key) and not is_slip else None
        word = foreign_word(entry.key)
        if word is None:
            return None
        stands_right = _stands_right(word, where, declared)
        is_home = stands_right and word.key in known
        if is_slip and not is_home:
            return None
        hint = declared.component.hints.get(entry.key) if declared is not None else None
        if is_home:
            suggestions: tuple[Suggestion, ...] = (Suggestion(word.sentence(is_home=True), word.ours),)
        else:
            suggestions = (Suggestion(word.sentence(is_home=False), ""),) if word.ours else ()
        # A preset without the part that the word is about: its own hint says what to write instead.
        caret = word.whose if stands_right and not is_home and hint else word.sentence(is_home=is_home)
        if word.ours and not stands_right:
            self.foreign[where] = word
        absent = is_home and word.key not in table.entries and word.key in settings and settings[word.key].required
        return Diagnostic(
            Code.UNKNOWN_KEY,
            f"unknown key `{entry.key}`",
            entry.span,
            where,
            caret=caret,
            help=hint or word.help,
            notes=(f"`{word.key}` is missing",) if absent else (),
            suggestions=suggestions,
        )

    def _foreign_table(self, entry: Entry, where: str) -> Diagnostic | None:
        """Diagnoses a table of another framework at the top level, with ours for each known word in it."""
        table = foreign_table(entry.key)
        if table is None:
            return None
        inside = [(found.path, told) for found in words_inside(entry) if (told := self._instead(found))]
        notes = [f"`{path}`: {told}" for path, told in inside[:MOST_INSIDE]]
        if len(inside) > MOST_INSIDE:
            notes.append(f"and {len(inside) - MOST_INSIDE} more: docs/coming-from.md")
        suggestions = (Suggestion(table.sentence(), table.ours),) if table.ours else ()
        message = f"unknown table `{entry.key}`"
        return Diagnostic(
            Code.UNKNOWN_KEY,
            message,
            entry.span,
            where,
            caret=table.sentence(),
            notes=tuple(notes),
            suggestions=suggestions,
        )

    def _instead(self, found: Inside) -> str:
        """What stands here for a key of a foreign table; "" for one that is not known."""
        if found.word is not None:
            return found.word.instead
        homes = self.homes.get(found.key, [])
        return f"here `{found.key}` {homes[0]}" if homes else ""

    def _meant_by(self, entry: Entry, where: str, declared: Declared | None, table: Table) -> set[str]:
        """The absent keys of this table that a foreign word, or the words of a foreign table, stand for."""
        if isinstance(entry.value, Table):
            named = foreign_table(entry.key)
            tables = {named.ours} if named is not None and named.ours else set()
            homes = [found.word.home for found in words_inside(entry) if found.word is not None]
            tables |= {home.table for home in homes if home is not None}
            return {name for name in tables if name and name not in table.entries}
        word = foreign_word(entry.key)
        if word is None or not _stands_right(word, where, declared) or word.key in table.entries:
            return set()
        return {word.key}

    def _unknown(
        self,
        table: Table,
        entry: Entry,
        settings: Mapping[str, Setting],
        where: str,
        declared: Declared | None,
        close: tuple[str, ...],
    ) -> Diagnostic:
        key = entry.key
        code, message = Code.UNKNOWN_KEY, f"unknown key `{key}`"
        is_nested = where != join_path("", key)
        no_slot = declared is not None or (is_nested and not close)
        if no_slot and isinstance(entry.value, Table) and names_component(entry.value):
            holder = declared.use if declared is not None else header_of(parent_path(where))
            code, message = Code.NO_SUCH_SLOT, f"`{holder}` has no slot `{key}`"
        elif not is_nested and isinstance(entry.value, Table | Array):
            message = f"unknown table `{key}`"
        suggestions = [Suggestion(f"did you mean `{k}`?", k) for k in close]
        words = [f"did you mean {one_of(close)}?"] if close else []
        if not any(fold(key) == fold(k) for k in close) and (homes := self.homes.get(key)):
            from_set = entry.span is not None and entry.span.file.startswith("<--set")
            meant = [path for path in self.paths.get(key, []) if path != where][:MOST_PATHS] if from_set else []
            belongs = f"`{key}` belongs {' or '.join(homes[:MOST_HOMES])}"
            suggestions[:0] = [Suggestion(f"did you mean `{p}`?", p) for p in meant] or [Suggestion(belongs, "")]
            words.insert(0, f"did you mean {one_of(meant)}?" if meant else belongs)
        absent = [k for k in close if k not in table.entries and k in settings and settings[k].required]
        known = one_of(settings).replace(" or ", ", ") if settings else "nothing"
        hint = declared.component.hints.get(key) if declared is not None else None
        return Diagnostic(
            code,
            message,
            entry.span,
            where,
            caret="; ".join(words),
            help=hint or (None if words else f"known here: {known}"),
            notes=tuple(f"`{k}` is missing" for k in absent),
            suggestions=tuple(suggestions),
        )


def _stands_right(word: ForeignWord, where: str, declared: Declared | None) -> bool:
    """Whether the table in which the word stands is the one where ours belongs."""
    home = word.home
    if home is None:
        return False
    if declared is not None:
        return home.fits(declared.kind, declared.use)
    return home.kind is None and header_of(parent_path(where)) == (home.section or "")


def _former(declared: Declared, entry: Entry, where: str) -> Diagnostic | None:
    """Diagnoses a setting that the component has renamed or removed."""
    key, component = entry.key, declared.component
    if new := component.renamed.get(key):
        caret = f"it is now `{new}`"
        message = f"`{key}` of `{declared.use}` was renamed"
        suggestion = Suggestion(f"renamed to `{new}`", new)
        return Diagnostic(Code.RENAMED, message, entry.span, where, caret, suggestions=(suggestion,))
    if hint := component.removed.get(key):
        return Diagnostic(Code.REMOVED, f"`{key}` of `{declared.use}` was removed", entry.span, where, help=hint)
    return None
