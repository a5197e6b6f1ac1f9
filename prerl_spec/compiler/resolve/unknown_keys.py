"""Diagnoses unknown keys: the code of the error, and the key that was probably meant, here or by another framework."""

from collections.abc import Iterator, Mapping

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.component_names import RESERVED, Declarations, Declared
from prerl_spec.compiler.resolve.foreign_keys import MOST_PATHS, ForeignKeys
from prerl_spec.compiler.resolve.unknown_names import article
from prerl_spec.errors import Diagnostic, Label, Suggestion
from prerl_spec.language.compose import names_component
from prerl_spec.language.document import Array, Entry, Invalid, Table, join_path, parent_path
from prerl_spec.language.spec import Spec, header_of, places_of
from prerl_spec.language.suggest import fold, nearest, one_of
from prerl_spec.registry.settings import Setting, settings_of

MOST_HOMES = 2


class Keys:
    """Index of all keys of the language and of the components that the spec names."""

    def __init__(self, declarations: Declarations) -> None:
        self.registry = declarations.registry
        self.homes: dict[str, list[str]] = {}
        """Key -> the tables that define it, such as "in `[optimizer]`": those of the core first."""
        self.paths: dict[str, list[str]] = {}
        """Key -> the paths by which `--set` reaches it, in the same order."""
        self.foreign = ForeignKeys(self.homes, self.paths)
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
            header = f"[{header_of(path)}]"
            home = f"in `[{header}]`" if path.endswith("]") else f"in `{header}`"
            self._belong(settings_of(declared.component), home, path)

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
            answer = self.foreign.answer(table, entry, settings, known, where, declared, close)
            if answer is not None:
                found.append(answer[0])
                meant |= answer[1]
                continue
            meant.update(k for k in close if k not in table.entries)
            found.append(self._unknown(table, entry, settings, where, declared, close))
        return found, meant

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
        written = {k: table.entries[k].span for k in close if k in table.entries and not _may_follow(table.entries[k])}
        suggestions = [Suggestion(f"did you mean `{k}`?", k) for k in close]
        words = [f"did you mean {one_of(close)}?"] if close else []
        if not any(fold(key) == fold(k) for k in close) and (homes := self.homes.get(key)):
            meant = [path for path in self.paths.get(key, []) if path != where][:MOST_PATHS] if _is_set(entry) else []
            belongs = f"`{key}` belongs {' or '.join(homes[:MOST_HOMES])}"
            suggestions[:0] = [Suggestion(f"did you mean `{p}`?", p) for p in meant] or [Suggestion(belongs, "")]
            words.insert(0, f"did you mean {one_of(meant)}?" if meant else belongs)
        elif not words and not is_nested and isinstance(entry.value, Table):
            words = [*self._component_named(key)]
        absent = [k for k in close if k not in table.entries and k in settings and settings[k].required]
        known = one_of(settings).replace(" or ", ", ") if settings else "nothing"
        hint = declared.component.hints.get(key) if declared is not None else None
        return Diagnostic(
            code,
            message,
            entry.span,
            where,
            caret="; ".join(words),
            labels=tuple(Label(span, f"`{k}` is written here") for k, span in written.items() if span is not None),
            help=hint or (None if words else f"known here: {known}"),
            notes=tuple(f"`{k}` is missing" for k in absent),
            suggestions=tuple(suggestions),
        )

    def _component_named(self, key: str) -> Iterator[str]:
        """Where the component belongs whose name a top-level table has: `[lm_eval]`."""
        for kind in self.registry.kinds_of(key):
            for place in places_of(kind)[:1]:
                yield f'`{key}` is {article(kind)}: write `{place}` with `use = "{key}"`'


def _is_set(entry: Entry) -> bool:
    """Whether the key comes from a `--set`."""
    return entry.span is not None and entry.span.file.startswith("<--set")


def _may_follow(entry: Entry) -> bool:
    """Whether one more of the same is right: `[[phases]]` after `[[phases]]`."""
    return isinstance(entry.value, Array) and entry.value.of_headers


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
