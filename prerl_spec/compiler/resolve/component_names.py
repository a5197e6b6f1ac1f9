"""Resolves component references of a spec: names are checked against entry-point metadata before any import."""

import re
from collections.abc import Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import BaseModel

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.findings import Findings
from prerl_spec.compiler.resolve.foreign.word import ANY, Home
from prerl_spec.compiler.resolve.foreign_tables import notes_on, strays_among_names, words_in
from prerl_spec.compiler.resolve.unknown_names import article, noun, unknown_name, written_as_setting
from prerl_spec.errors import Diagnostic, Span, Suggestion
from prerl_spec.language.document import Array, Invalid, Node, Scalar, Table, join_path
from prerl_spec.language.overrides import below
from prerl_spec.language.spec import header_of
from prerl_spec.language.suggest import fold, nearest, one_of
from prerl_spec.registry.component import Component, Kind
from prerl_spec.registry.entry_points import Entry, PluginFault, Registry, load, namespaced, normalized
from prerl_spec.registry.settings import Setting, seen_as, settings_of, shown

REFERENCE = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?)(?:@([1-9][0-9]*))?")
RESERVED = ("use", "from")
OF_A_PHASE = re.compile(r"phases\[\d+\]\.(\w+)")


@dataclass(frozen=True)
class Declared:
    """A resolved reference: the component's class, and the table of settings written in the spec."""

    path: str
    kind: Kind
    use: str
    entry: Entry
    component: type[Component]
    table: Table
    use_span: Span | None
    """Span of the `use` value, or of the string in the short form."""
    anchor: Span | None
    """Span of the table's header, else of its key."""


@dataclass
class Declarations(Findings):
    """The resolved components by path, and the errors found on the way."""

    found: dict[str, Declared] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)
    """Paths in a table of named components at which none is meant: words of another framework, reported."""
    registry: Registry = field(default_factory=lambda: Registry(()))


def declare(
    root: Table, grammar: type[BaseModel], registry: Registry, unread_namespaces: frozenset[str] = frozenset()
) -> Declarations:
    """Resolves and imports the component at every slot of the spec, nested slots included.

    Names of an unread namespace are poisoned without a diagnostic: the cause has already been reported.
    """
    declarations = Declarations(registry=registry)
    _Walk(registry, declarations, unread_namespaces, root.entries.keys()).section(root, grammar, "")
    return declarations


class _Walk:
    def __init__(
        self, registry: Registry, into: Declarations, unread_namespaces: frozenset[str], at_top: Set[str]
    ) -> None:
        self.registry, self.into, self.unread_namespaces, self.at_top = registry, into, unread_namespaces, at_top

    def section(self, table: Table, model: type[BaseModel], path: str) -> None:
        settings = settings_of(model)
        for key, entry in table.entries.items():
            setting = settings.get(key)
            where = join_path(path, key)
            if setting is None or isinstance(entry.value, Invalid):
                continue
            if setting.holds_component(entry.value):
                self.place(setting, entry.value, where, entry.span)
            elif setting.section is not None:
                for item_path, item in _tables(entry.value, where):
                    self.section(item, setting.section, item_path)

    def place(self, setting: Setting, node: Node, path: str, key: Span | None) -> None:
        """Resolves the slot at a path: one component, a list of components, or a table of named components."""
        assert setting.slot is not None, f"{setting.key} holds no component"
        kind = setting.slot.kind
        if setting.named:
            if isinstance(node, Table) and "use" in node.entries and isinstance(node.get("use"), Scalar):
                note = f"`{setting.key}` is a table of named components: write `[{setting.key}.train]`"
                self.into.fail(
                    Code.UNKNOWN_KEY, path, "unknown key `use`", node.entries["use"].span, notes=(note,), poison=path
                )
            elif isinstance(node, Table):
                self.table_of_named(kind, node, path, key)
            elif isinstance(node, Array) and node.of_headers:
                message = f"`{setting.key}` is a table of named components"
                self.into.fail(Code.TABLE_OR_LIST, path, message, key, caret=f"write `[{setting.key}.train]`")
            else:
                message = f"`{setting.key}` must be a table of named components, not {seen_as(node)}"
                self.into.fail(Code.WRONG_TYPE, path, message, _span(node, key), caret=f"write `[{setting.key}.train]`")
        elif not setting.slot.many:
            self.reference(kind, node, path, key, setting.choices)
        elif isinstance(node, Array):
            for index, item in enumerate(node.items):
                self.reference(kind, item, join_path(path, index), key)
        else:
            self.not_a_list(setting, node, path, key)

    def table_of_named(self, kind: Kind, table: Table, path: str, key: Span | None) -> None:
        """Resolves the components of a table of named ones; reports what is written there where no component is meant."""
        strays = strays_among_names(table, path, key, kind, self.registry)
        self.into.diagnostics += strays.diagnostics
        self.into.strays |= strays.paths
        self.into.poisoned |= {d.path for d in strays.diagnostics}
        for name, entry in table.entries.items():
            where = join_path(path, name)
            if not isinstance(entry.value, Invalid) and where not in strays.paths and path not in self.into.poisoned:
                self.reference(kind, entry.value, where, entry.span)

    def not_a_list(self, setting: Setting, node: Node, path: str, key: Span | None) -> None:
        header = f"[[{header_of(path)}]]"
        if (unknown := below(node)) is not None:
            message = f"`{setting.key}` is a list of components: it has no `{unknown.key}`"
            self.into.fail(Code.OVERRIDE_PATH, join_path(path, unknown.key), message, unknown.span, poison=path)
        elif isinstance(node, Table):
            message = f"`{setting.key}` is a list of components, not one table"
            written = key if node.form != "inline" else _span(node, key)
            self.into.fail(
                Code.TABLE_OR_LIST, path, message, written, caret=f"write `{header}`, or `{setting.key} = [...]`"
            )
        elif _is_text(node):
            assert isinstance(node, Scalar), "a text is a scalar"
            listed = f"[{shown(node.value)}]"
            self.into.fail(
                Code.TABLE_OR_LIST,
                path,
                f"`{setting.key}` is a list of components, not one text",
                _span(node, key),
                caret=f"write `{setting.key} = {listed}`, or `{header}`",
                suggestions=(Suggestion(f"write `{listed}`", listed),),
            )
        else:
            message = f"`{setting.key}` must be a list of components, not {seen_as(node)}"
            caret = f"write `{header}`, or `{setting.key} = [...]`"
            self.into.fail(Code.WRONG_TYPE, path, message, _span(node, key), caret=caret)

    def reference(self, kind: Kind, node: Node, path: str, key: Span | None, words: tuple[str, ...] = ()) -> None:
        """Resolves one reference: a table with `use`, or its short form, a string. `words` are the fixed words that may
        stand in its place."""
        if isinstance(node, Invalid):
            self.into.poisoned.add(path)
            return
        if isinstance(node, Array) and node.of_headers:
            message = f"one {noun(kind)} belongs here, not a list of tables"
            self.into.fail(Code.TABLE_OR_LIST, path, message, key, caret=f"write `[{header_of(path)}]`")
            return
        if isinstance(node, Scalar) and isinstance(node.value, str):
            table = Table(form="inline", span=node.span)
            self.named(kind, node, table, path, key, words)
            return
        if not isinstance(node, Table):
            message = f"{article(kind)} is named by a text or a table, not by {seen_as(node)}"
            self.into.fail(Code.MALFORMED_COMPONENT, path, message, _span(node, key))
            return
        anchor = node.header or key
        use = node.get("use") if "use" in node.entries else node.short
        if isinstance(use, Invalid):
            self.into.poisoned.add(path)
        elif use is None and node.has_gap:
            self.into.poisoned.add(path)  # its `use` may be on a line that could not be read
        elif use is None:
            self.no_use(kind, node, path, anchor)
        elif not isinstance(use, Scalar) or not isinstance(use.value, str):
            message = f"`use` must be a name, not {seen_as(use)}"
            self.into.fail(Code.MALFORMED_COMPONENT, join_path(path, "use"), message, _span(use, anchor), poison=path)
        else:
            self.named(kind, use, node, path, anchor)

    def no_use(self, kind: Kind, table: Table, path: str, anchor: Span | None) -> None:
        """Reports a table without `use`; a misspelt `use` is reported as such."""
        misspelt = [e for k, e in table.entries.items() if "use" in nearest(k, RESERVED) and _is_text(e.value)]

        def is_here(home: Home) -> bool:
            return home.kind in (kind, ANY)

        words = words_in(table, path, is_here)
        foreign = [(table.entries[k], word) for k, word in words.items() if word.stands_for_use(kind)]
        foreign = [(entry, word) for entry, word in foreign if _is_text(entry.value)]
        if misspelt or foreign:
            wrong = misspelt[0] if misspelt else foreign[0][0]
            caret = "did you mean `use`?" if misspelt else foreign[0][1].sentence(is_home=True)
            others = {key: word for key, word in words.items() if key != wrong.key}
            self.into.fail(
                Code.UNKNOWN_KEY,
                join_path(path, wrong.key),
                f"unknown key `{wrong.key}`",
                wrong.span,
                caret=caret,
                help=None if misspelt else foreign[0][1].help,
                notes=(f"`use` is missing: it names the {noun(kind)}", *notes_on(others, path, is_here)),
                suggestions=(Suggestion(caret, "use"),),
                poison=path,
            )
            return
        names = self.registry.names(kind)
        of_phase = OF_A_PHASE.fullmatch(path)
        notes = (own_replaces_whole(of_phase[1]),) if of_phase and of_phase[1] in self.at_top else ()
        self.into.fail(
            Code.MALFORMED_COMPONENT,
            path,
            f"this {noun(kind)} has no `use`",
            anchor,
            help=f"`use` names it: {one_of(names)}" if names else None,
            notes=(*notes, *notes_on(words, path, is_here)),
            of_absence=True,
        )

    def named(
        self,
        kind: Kind,
        use: Scalar,
        table: Table,
        path: str,
        anchor: Span | None,
        words: tuple[str, ...] = (),
    ) -> None:
        """Resolves a name: well formed, known, of the kind, from one distribution, importable, of the pinned version."""
        where = path if table.span is use.span and use.span is not None else join_path(path, "use")
        word = str(use.value)
        match = REFERENCE.fullmatch(word)
        if use.reference is not None or "${" in word:
            self.into.fail(
                Code.MALFORMED_COMPONENT,
                where,
                "a component name cannot be a `${...}` reference",
                use.span,
                poison=path,
            )
            return
        if match is None and not REFERENCE.fullmatch(fold(word)):
            self.malformed(kind, word, use, where, path)
            return
        name, pinned = (match[1], match[2]) if match else (word, None)
        if name.partition(".")[0] in self.unread_namespaces and not self.registry.providers(kind, name):
            self.into.poisoned.add(path)
            return
        for foreign in self.registry.ignored(kind, name):
            message = f"`{name}` of {foreign.distribution} is ignored: bare names belong to prerl-spec"
            hint = f"its author can register it as `{namespaced(foreign.distribution, name)}`"
            self.into.diagnostics.append(Diagnostic(Code.FOREIGN_BARE_NAME, message, use.span, where, help=hint))
        entry = self.provider(kind, name, use, table, where, path, words)
        if entry is None:
            return
        try:
            component = load(entry)
        except PluginFault as fault:
            self.into.fail(fault.code, where, fault.message, use.span, help=fault.help, poison=path)
            return
        if pinned is not None and int(pinned) != component.version:
            self.into.fail(
                Code.BEHAVIOUR_VERSION,
                where,
                f"`{name}` has no behaviour version {pinned}",
                use.span,
                caret=f"installed is `{name}@{component.version}`",
                suggestions=(Suggestion("pin the installed version", f"{name}@{component.version}"),),
                poison=path,
            )
            return
        self.into.found[path] = Declared(path, kind, name, entry, component, table, use.span, anchor)
        for key, setting in settings_of(component).items():
            if key not in table.entries:
                self.unwritten(setting, join_path(path, key), use, anchor)
        for key, nested in table.entries.items():
            written = settings_of(component).get(key)
            if written is not None and not isinstance(nested.value, Invalid) and written.holds_component(nested.value):
                self.place(written, nested.value, join_path(path, key), nested.span)

    def unwritten(self, setting: Setting, path: str, holder: Scalar, anchor: Span | None) -> None:
        """Resolves the component that an unwritten slot holds, with its default settings."""
        if setting.slot is None or setting.slot.default is None:
            return
        kind, name = setting.slot.kind, setting.slot.default
        entries = self.registry.providers(kind, name)
        try:
            entry = entries[0]
            component = load(entry)
        except (IndexError, PluginFault) as fault:
            message = f"the default of `{setting.key}`, the {noun(kind)} `{name}`, is not available"
            cause = fault.message if isinstance(fault, PluginFault) else None
            self.into.fail(Code.PLUGIN_IMPORT_FAILED, path, message, holder.span, help=cause, poison=path)
            return
        self.into.found[path] = Declared(path, kind, name, entry, component, Table(form="inline"), None, anchor)

    def malformed(self, kind: Kind, word: str, use: Scalar, where: str, path: str) -> None:
        close = nearest(word, self.registry.names(kind))
        if (written := written_as_setting(self.registry, kind, word)) is not None:
            message, hint = f"{shown(word)} is not the name of {article(kind)}", written
        elif word.count(".") > 1 or ":" in word:
            message, hint = f"{shown(word)} is an import path", "components are named, never imported by path"
        elif "@" in word:
            message, hint = f"malformed version in {shown(word)}", "versions start at 1: `name@1`"
        else:
            message, hint = f"{shown(word)} is not a name", "names are lower-case words: `grpo`, `acme.fancy`, `grpo@1`"
        caret = f"did you mean {one_of(close)}?" if close else ""
        suggestions = tuple(Suggestion(f"did you mean `{n}`?", n) for n in close)
        self.into.fail(
            Code.MALFORMED_COMPONENT,
            where,
            message,
            use.span,
            caret=caret,
            help=hint,
            suggestions=suggestions,
            poison=path,
        )

    def provider(
        self, kind: Kind, name: str, use: Scalar, table: Table, where: str, path: str, words: tuple[str, ...]
    ) -> Entry | None:
        """The one entry that the name refers to; None after reporting an error."""
        entries = self.registry.providers(kind, name)
        origin = table.get("from")
        if not entries:
            self.unknown(kind, name, use, where, path, words)
            return None
        if isinstance(origin, Scalar):
            if not isinstance(origin.value, str):
                self.from_no_text(origin, path, entries)
                return None
            chosen = [e for e in entries if normalized(e.distribution) == normalized(str(origin.value))]
            if not chosen:
                homes = one_of(e.distribution for e in entries)
                message = f"{origin.value} does not provide the {noun(kind)} `{name}`"
                self.into.fail(
                    Code.AMBIGUOUS_COMPONENT,
                    join_path(path, "from"),
                    message,
                    origin.span,
                    caret=f"it comes from {homes}",
                    suggestions=tuple(Suggestion("provided by", e.distribution) for e in entries),
                    poison=path,
                )
                return None
            return chosen[0]
        if isinstance(origin, Array | Table):
            self.from_no_text(origin, path, entries)
            return None
        if len(entries) > 1:
            homes = " and ".join(e.distribution for e in entries)
            hint = f'choose one: from = "{entries[0].distribution}"'
            self.into.fail(
                Code.AMBIGUOUS_COMPONENT, where, f"`{name}` is provided by {homes}", use.span, help=hint, poison=path
            )
            return None
        return entries[0]

    def from_no_text(self, origin: Scalar | Array | Table, path: str, entries: Sequence[Entry]) -> None:
        message = f"`from` must be a text, not {seen_as(origin)}"
        hint = "`from` names the distribution that provides the component"
        with suppress(PluginFault):
            if own := settings_of(load(entries[0])):
                hint = f"{hint}; the settings of `{entries[0].name}` are {', '.join(own)}"
        self.into.fail(Code.WRONG_TYPE, join_path(path, "from"), message, origin.span, help=hint, poison=path)

    def unknown(self, kind: Kind, name: str, use: Scalar, where: str, path: str, words: tuple[str, ...]) -> None:
        code, message, hints = unknown_name(self.registry, kind, name, words)
        self.into.fail(code, where, message, use.span, poison=path, **hints)


def own_replaces_whole(role: str) -> str:
    """What a phase's `sampler.group_size = 1` beside a `[sampler]` overlooks."""
    return f"a phase's own `{role}` replaces the top-level one whole: write it with `use` and every setting"


def _tables(node: Node, path: str) -> Iterator[tuple[str, Table]]:
    if isinstance(node, Table):
        yield path, node
    elif isinstance(node, Array):
        for index, item in enumerate(node.items):
            if isinstance(item, Table):
                yield join_path(path, index), item


def _is_text(node: Node) -> bool:
    return isinstance(node, Scalar) and isinstance(node.value, str)


def _span(node: Node, key: Span | None) -> Span | None:
    """The value's span; for a table without one, the span of its key."""
    return node.span or key
