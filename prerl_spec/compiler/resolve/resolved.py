"""A resolved spec: the composed document, and the built component at each of its paths."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from prerl_spec.compiler.resolve.secret_literals import SecretLiterals
from prerl_spec.errors import Diagnostic, Label, Span
from prerl_spec.language.document import Array, Entry, Invalid, Node, Table, split_path
from prerl_spec.language.spec import Spec
from prerl_spec.registry.component import Component, Kind
from prerl_spec.registry.kind_protocols import missing_members, require_members


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

    @cached_property
    def is_complete(self) -> bool:
        """Whether the component has every member of its kind's Protocol."""
        return not missing_members(self.component)


@dataclass(frozen=True)
class Resolved:
    """A spec as far as it could be resolved.

    `built` holds every component by path ("model", "data.train", "phases[0].objective", "evaluate[0]", "model.adapter");
    `poisoned` holds the paths that failed (including a key that is missing because it was misspelt): rules that depend
    on one of them are skipped. Where there are errors, `spec` has defaults (None for required keys) at the failed paths.
    """

    file: Path
    source_text: str
    spec: Spec
    built: Mapping[str, Built]
    diagnostics: tuple[Diagnostic, ...]
    poisoned: frozenset[str]
    root: Table = field(repr=False)
    sources: Mapping[str, str] = field(repr=False)
    """Source texts by the file name in their spans, in the order in which diagnostics are shown."""
    layers: tuple[str, ...] = field(repr=False)
    """The same names in the order in which the files were merged."""
    origins: Mapping[str, str] = field(repr=False)
    """Path -> origin of its value, such as "dsrl.toml:43"."""
    has_gaps: bool = False
    """Whether a header or a key could not be read: keys that seem to be missing may then be present."""
    secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """Path -> names of the secrets that its value refers to."""
    literals: SecretLiterals = field(default_factory=SecretLiterals, repr=False)
    """The secrets that are written as they are; `sources` and `source_text` hold asterisks in their place."""
    plugin_files: Mapping[str, str] = field(default_factory=dict)
    """Absolute path of each executed `[plugins]` file -> SHA-256 of its content."""
    code_files: Mapping[str, str] = field(default_factory=dict)
    """Absolute path of each file whose code a component's settings run -> SHA-256 of its content."""
    arms: "Mapping[str, Resolved]" = field(default_factory=dict, repr=False)
    """The resolved spec of each study arm, by the arm's name."""

    def require_members(self) -> None:
        """Raises EnvironmentUnmet (E0305) for the first component that lacks a member of its kind's Protocol."""
        for built in self.built.values():
            require_members(built.component, built.use, built.distribution)

    def node(self, path: str) -> Node | None:
        """The node written at a path; None for a default."""
        found = self._find(path)
        return None if found is None else found[0]

    def is_written(self, path: str) -> bool:
        return self._find(path) is not None

    def value_span(self, path: str) -> Span | None:
        """Span of the value at a path; for a table its header or braces, else the key that names it."""
        found = self._find(path)
        if found is None:
            return None
        node, entry = found
        return node.span or (entry.span if entry else None)

    def key_span(self, path: str) -> Span | None:
        """Span of the key at a path; for an item of a list, the list's key."""
        found = self._find(path)
        return found[1].span if found is not None and found[1] is not None else None

    def header_span(self, path: str) -> Span | None:
        """Span at which a missing key of the table is reported: its header, else the key that names it."""
        found = self._find(path)
        if found is None:
            return None
        node, entry = found
        if isinstance(node, Table) and node.header is not None:
            return node.header
        return entry.span if entry is not None else node.span

    def use_span(self, path: str) -> Span | None:
        """Span of the `use` value of the component at a path, or of its short form (a string)."""
        node = self.node(path)
        if isinstance(node, Table):
            use = node.get("use") or node.short
            return use.span if use is not None else self.header_span(path)
        return self.value_span(path)

    def order(self, path: str) -> tuple[int, int, int]:
        """Sort key of written order: by file in merge order, then line and column; defaults first."""
        span = self.value_span(path)
        if span is None:
            return (-1, 0, 0)
        return (self.layers.index(span.file), span.line, span.column)

    def with_definition(self, diagnostic: Diagnostic) -> Diagnostic:
        """The diagnostic with a label at the definition, if its value came through a reference."""
        node = self.node(diagnostic.path) if diagnostic.path else None
        via = None if node is None or isinstance(node, Invalid) or node.span != diagnostic.span else node.via
        if via is None:
            return diagnostic
        return replace(diagnostic, labels=(*diagnostic.labels, Label(via, "defined here")))

    def _find(self, path: str) -> tuple[Node, Entry | None] | None:
        """The node at a path, and the entry that names it (for an item of a list, the entry of the list)."""
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


def in_file_order(diagnostics: Sequence[Diagnostic], files: Sequence[str]) -> tuple[Diagnostic, ...]:
    """Sorted for display: by file, then by position; diagnostics without a span first."""
    ranks = {file: rank for rank, file in enumerate(files)}

    def key(diagnostic: Diagnostic) -> tuple[int, int, int, str]:
        span = diagnostic.span
        if span is None:
            return (-1, 0, 0, diagnostic.code)
        return (ranks.get(span.file, len(ranks)), span.line, span.column, diagnostic.code)

    return tuple(sorted(dict.fromkeys(diagnostics), key=key))


COMPOSED = ("extends", "unset")
"""Keys consumed by composition. `vars` is consumed by interpolation, except the variables that study arms refer to."""
