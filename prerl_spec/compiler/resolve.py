"""From a file to typed, built components: read, compose, override, interpolate, declare, check. No torch.

Every stage collects all its mistakes; what failed is poisoned, and only what depends on it is left out.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from prerl_spec.codes import Code
from prerl_spec.compiler.check import Check
from prerl_spec.compiler.declare import Declared, declare
from prerl_spec.compiler.requires import unmet
from prerl_spec.errors import Diagnostic, Label, Span, UsageError
from prerl_spec.language.arms import arms
from prerl_spec.language.compose import Composition, compose
from prerl_spec.language.document import Array, Entry, Invalid, Node, Scalar, Table, join_path, split_path, walk
from prerl_spec.language.interpolate import interpolate
from prerl_spec.language.overrides import as_override_mistake, override
from prerl_spec.language.secrets import exposed_secrets
from prerl_spec.language.spec import Spec
from prerl_spec.language.toml import read, read_text
from prerl_spec.registry.component import Component, Kind
from prerl_spec.registry.local import NAMESPACE, local_entries
from prerl_spec.registry.settings import settings_of
from prerl_spec.registry.shelf import Entry as ShelfEntry
from prerl_spec.registry.shelf import PluginFault, Shelf, installed


@dataclass(frozen=True)
class Built:
    """One component, declared and validated: `Built("objective", "grpo", "prerl-spec", "0.1.0", 1, Grpo(...), ...)`."""

    kind: Kind
    use: str
    distribution: str
    distribution_version: str
    version: int
    """Behaviour version."""
    component: Component
    written: frozenset[str]
    slots: "Mapping[str, Built | tuple[Built, ...]]"
    entry_value: str
    """module:Class"""


@dataclass(frozen=True)
class Resolved:
    """A spec as far as it could be understood.

    `built` holds every component by path ("model", "data.train", "phases[0].objective", "evaluate[0]", "model.adapter");
    `poisoned` the paths that failed (also of a key that a misspelt one was meant to be): a rule that needs one of them
    has nothing to say. Where there are errors, `spec` has defaults (None for required ones) in the failed places.
    """

    file: Path
    source_text: str
    spec: Spec
    built: Mapping[str, Built]
    diagnostics: tuple[Diagnostic, ...]
    poisoned: frozenset[str]
    root: Table = field(repr=False)
    sources: Mapping[str, str] = field(repr=False)
    """Every text that a diagnostic may quote, by the name that its spans bear, in the order of diagnostics."""
    layers: tuple[str, ...] = field(repr=False)
    """The same names in the order in which the files were merged."""
    origins: Mapping[str, str] = field(repr=False)
    """Path -> where its value came from, such as "dsrl.toml:43"."""
    has_gaps: bool = False
    """Whether a header or a key could not be read, so that what seems to be missing may well be there."""
    secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """Path -> the secrets that its value names."""
    plugin_files: Mapping[str, str] = field(default_factory=dict)
    """Files of `[plugins]` that were run, absolute -> SHA-256 of what they said."""
    arms: "Mapping[str, Resolved]" = field(default_factory=dict, repr=False)
    """The spec as each arm of its study has it."""

    def node(self, path: str) -> Node | None:
        """What is written at a path; None where nothing is (a default)."""
        found = self._find(path)
        return None if found is None else found[0]

    def is_written(self, path: str) -> bool:
        return self._find(path) is not None

    def value_span(self, path: str) -> Span | None:
        """The value at a path; a table's header, braces, or else the key that names it."""
        found = self._find(path)
        if found is None:
            return None
        node, entry = found
        return node.span or (entry.span if entry else None)

    def key_span(self, path: str) -> Span | None:
        """The key at a path; for an item of a list, the list's key."""
        found = self._find(path)
        return found[1].span if found is not None and found[1] is not None else None

    def header_span(self, path: str) -> Span | None:
        """Where a missing key of the table at this path is shown: its header, else the key that names it."""
        found = self._find(path)
        if found is None:
            return None
        node, entry = found
        if isinstance(node, Table) and node.header is not None:
            return node.header
        return entry.span if entry is not None else node.span

    def use_span(self, path: str) -> Span | None:
        """The `use` value of the component at a path, or the text that stands for it."""
        node = self.node(path)
        if isinstance(node, Table):
            use = node.get("use") or node.short
            return use.span if use is not None else self.header_span(path)
        return self.value_span(path)

    def order(self, path: str) -> tuple[int, int, int]:
        """Sorts places by when they were written: by file, the last merged last, then line and column; defaults first."""
        span = self.value_span(path)
        if span is None:
            return (-1, 0, 0)
        return (self.layers.index(span.file), span.line, span.column)

    def with_definition(self, diagnostic: Diagnostic) -> Diagnostic:
        """A complaint of a value that came through a reference, with a label where the value was written."""
        node = self.node(diagnostic.path) if diagnostic.path else None
        via = None if node is None or isinstance(node, Invalid) or node.span != diagnostic.span else node.via
        if via is None:
            return diagnostic
        return replace(diagnostic, labels=(*diagnostic.labels, Label(via, "defined here")))

    def _find(self, path: str) -> tuple[Node, Entry | None] | None:
        """The node at a path, and the entry that names it (for an item of a list, the list's)."""
        node: Node = self.root
        entry: Entry | None = None
        for step in split_path(path):
            if isinstance(node, Table) and isinstance(step, str) and step in node.entries:
                entry = node.entries[step]
                node = entry.value
            elif isinstance(node, Table) and step == "use" and node.short is not None:
                node = node.short
            elif isinstance(node, Array) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
            else:
                return None
        return node, entry


def resolve(
    file: Path,
    *,
    sets: Sequence[str] = (),
    unsets: Sequence[str] = (),
    overlays: Sequence[Path] = (),
    local_code: bool = False,
) -> Resolved:
    """Reads a spec as far as settings. Never raises for a mistake inside it; UsageError where there is no such file, or
    where an entry of `sets` has no value."""
    if file.is_dir():
        raise UsageError(f"{file} is a folder", mend="name the spec file in it")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", mend="name a spec file") from error
    composition = compose(read(data, str(file)), file.parent, overlays)
    override(composition, sets, unsets)
    return _resolve(composition, file, local_code, installed())


def resolve_text(
    text: str, file: str = "spec.toml", *, shelf: Shelf | None = None, sets: Sequence[str] = ()
) -> Resolved:
    """The same for a text that stands in no file (its relative paths are those of `file`)."""
    composition = compose(read_text(text, file), Path(file).parent)
    override(composition, sets, ())
    return _resolve(composition, Path(file), False, shelf or installed())


def _resolve(composition: Composition, file: Path, local_code: bool, shelf: Shelf, *, is_arm: bool = False) -> Resolved:
    main = composition.documents[0]
    overlaid = [] if is_arm else list(arms(composition))
    root = composition.root
    root.span = Span(main.file, 1, 1, 1, 2)
    references = interpolate(root, [document.root for document in composition.documents])
    requirements = list(unmet(root))
    plugin_files, plugin_faults = _local_files(root, composition.folders, local_code)
    shelf = Shelf([*shelf.entries, *(entry for entries in plugin_files.values() for entry in entries)])
    declarations = declare(root, Spec, shelf, frozenset({NAMESPACE}) if plugin_faults else frozenset())
    check = Check(root, declarations, composition.folders, composition.has_gaps)
    spec = check.run()
    lost_parent = composition.lost_parent or "extends" in check.poisoned
    unread_lines = {(d.span.file, d.span.line) for d in composition.diagnostics if d.span is not None}
    undefined = [d for target, d in references.undefined if target not in check.poisoned]
    found = [
        *composition.diagnostics,
        *references.diagnostics,
        *undefined,
        *requirements,
        *plugin_faults,
        *declarations.diagnostics,
        *check.diagnostics,
        *exposed_secrets(root),
    ]
    resolved = Resolved(
        file=file,
        source_text=main.text,
        spec=spec,
        built={path: _built(path, declarations.found, check) for path in check.components},
        diagnostics=in_file_order(
            [
                as_override_mistake(d)
                for d in found
                if not (lost_parent and _may_be_inherited(d)) and not _is_form_of_unread(d, unread_lines)
            ],
            list(composition.sources),
        ),
        poisoned=frozenset(check.poisoned),
        root=root,
        sources=composition.sources,
        layers=tuple(composition.layers),
        origins=dict(_origins(root)),
        has_gaps=composition.has_gaps or lost_parent,
        secrets=references.secrets,
        plugin_files={str(file): entries[0].distribution_version for file, entries in plugin_files.items()},
        arms={name: _resolve(arm, file, local_code, shelf, is_arm=True) for name, arm in overlaid},
    )
    own = _without_led_on_secrets([resolved.with_definition(d) for d in resolved.diagnostics])
    of_arms = [d for name, arm in resolved.arms.items() for d in new_in_arm(name, arm.diagnostics, own)]
    return replace(resolved, diagnostics=in_file_order([*own, *of_arms], list(composition.sources)))


def _without_led_on_secrets(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """A secret in the wrong place is told there, not wherever a reference leads it on."""
    places = {d.span for d in found if d.code == Code.MISPLACED_SECRET}
    return [d for d in found if d.code != Code.MISPLACED_SECRET or not any(label.span in places for label in d.labels)]


def _may_be_inherited(diagnostic: Diagnostic) -> bool:
    """Whether it complains of something missing that a parent, which could not be read, may well have."""
    return diagnostic.of_absence or diagnostic.code in (Code.MISSING_KEY, Code.UNSET_NOT_INHERITED)


def _is_form_of_unread(diagnostic: Diagnostic, unread_lines: Set[tuple[str, int]]) -> bool:
    """Whether it complains that `[x]` should be `[[x]]`, or the reverse, where a bracket of the header is amiss."""
    span = diagnostic.span
    from_header = diagnostic.code == Code.TABLE_OR_LIST and diagnostic.path != ""
    return from_header and span is not None and (span.file, span.line) in unread_lines


def new_in_arm(name: str, found: Sequence[Diagnostic], known: Sequence[Diagnostic]) -> Iterator[Diagnostic]:
    """The errors that only an arm of the study has, each with the arm's name."""
    places = {(d.code, d.span, d.message) for d in known}
    for diagnostic in found:
        if diagnostic.severity == "error" and (diagnostic.code, diagnostic.span, diagnostic.message) not in places:
            yield replace(diagnostic, notes=(*diagnostic.notes, f"in arm `{name}` of the study"))


def _local_files(
    root: Table, folders: Mapping[str, Path], local_code: bool
) -> tuple[dict[Path, list[ShelfEntry]], list[Diagnostic]]:
    """The components of `[plugins] files` by file, and each file that is not allowed, missing or failing."""
    plugins = root.get("plugins")
    files = plugins.get("files") if isinstance(plugins, Table) else None
    found: dict[Path, list[ShelfEntry]] = {}
    faults: list[Diagnostic] = []
    for index, item in enumerate(files.items if isinstance(files, Array) else []):
        if not isinstance(item, Scalar) or not isinstance(item.value, str):
            continue
        try:
            if not local_code:
                message = f"`{item.value}` is Python code, which this command may not run"
                raise PluginFault(Code.PLUGIN_IMPORT_FAILED, message, help="--local-code allows it")
            folder = folders[item.span.file] if item.span else Path()
            file = (folder / item.value).absolute()
            found[file] = local_entries(file)
        except PluginFault as fault:
            path = f"plugins.files[{index}]"
            faults.append(Diagnostic(fault.code, fault.message, item.span, path, help=fault.help))
    return found, faults


def in_file_order(diagnostics: Sequence[Diagnostic], files: Sequence[str]) -> tuple[Diagnostic, ...]:
    """Sorted as they are shown: file after file, by position within each; what has no place comes first."""
    ranks = {file: rank for rank, file in enumerate(files)}

    def key(diagnostic: Diagnostic) -> tuple[int, int, int, str]:
        span = diagnostic.span
        if span is None:
            return (-1, 0, 0, diagnostic.code)
        return (ranks.get(span.file, len(ranks)), span.line, span.column, diagnostic.code)

    return tuple(sorted(dict.fromkeys(diagnostics), key=key))


def _built(path: str, declared: Mapping[str, Declared], check: Check) -> Built:
    """The record of a component whose settings hold, with those of its slots."""
    found = declared[path]
    slots: dict[str, Built | tuple[Built, ...]] = {}
    for key, setting in settings_of(found.component).items():
        if setting.slot is None or key not in found.table.entries:
            continue
        node, where = found.table.entries[key].value, f"{path}.{key}"
        if setting.slot.many and isinstance(node, Array):
            slots[key] = tuple(_built(f"{where}[{i}]", declared, check) for i in range(len(node.items)))
        else:
            slots[key] = _built(where, declared, check)
    return Built(
        kind=found.kind,
        use=found.use,
        distribution=found.entry.distribution,
        distribution_version=found.entry.distribution_version,
        version=found.component.version,
        component=check.components[path],
        written=check.written[path],
        slots=slots,
        entry_value=found.entry.value,
    )


def _origins(root: Table) -> Iterator[tuple[str, str]]:
    for path, node in walk(root):
        if isinstance(node, Table) and node.short is not None and node.short.span is not None:
            yield join_path(path, "use"), f"{node.short.span.file}:{node.short.span.line}"
        if not isinstance(node, Table | Array) and node.span is not None:
            yield path, f"{node.span.file}:{node.span.line}"
