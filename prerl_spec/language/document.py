"""A spec as a tree that records the source span of each key and each value; later stages interpret it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from prerl_spec.errors import Diagnostic, Span

Form = Literal["header", "implicit", "dotted", "inline"]


@dataclass
class Scalar:
    """A string, number, boolean or date: `Scalar(8, Span("a.toml", 3, 14, 3, 15))`.

    `via` is where the value was defined if it came through a reference; `reference` is the kind of that reference.
    `bare` marks a command-line word that is not TOML: a string where a string is accepted.
    """

    value: Any
    span: Span | None
    via: Span | None = None
    reference: Literal["path", "env", "secret"] | None = None
    bare: bool = False


@dataclass
class Invalid:
    """A written value that could not be parsed: present, but unknown.

    `has_doubtful_key`: its key may not be the intended one either, as in `out put = 1`.
    """

    span: Span | None
    has_doubtful_key: bool = False


@dataclass
class Array:
    """A list; `of_headers` where it was written as `[[name]]`. `via` as in Scalar."""

    items: list["Node"]
    span: Span | None
    of_headers: bool = False
    via: Span | None = None


@dataclass
class Entry:
    """A key with its value; `span` is the key itself (the segment of a dotted key or header), quotes included."""

    key: str
    span: Span | None
    value: "Node"


@dataclass
class Table:
    """A table; `header` is its bracketed path without brackets, None for an inline or dotted table.

    `name` is the header's last segment. `short` is the component name that a table without `use` was merged
    into, so that settings can be added to `verifier = "math_verify"`. `has_gap`: some key in it could not be parsed.
    `via` as in Scalar.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    span: Span | None = None
    header: Span | None = None
    name: Span | None = None
    form: Form = "implicit"
    short: "Scalar | None" = None
    has_gap: bool = False
    via: Span | None = None

    def get(self, key: str) -> "Node | None":
        """The value under a key, or None if the key is not written."""
        entry = self.entries.get(key)
        return None if entry is None else entry.value


Node: TypeAlias = Scalar | Invalid | Array | Table


@dataclass
class Document:
    """A parsed file: its tree, its text (without byte-order mark) and its syntax errors."""

    file: str
    text: str
    root: Table
    diagnostics: list[Diagnostic]
    has_gaps: bool = False
    """Whether a header or a key could not be parsed, so that what appears to be missing may be present."""


_STEP = re.compile(r"\.?(?:\[(\d+)\]|\"((?:[^\"\\]|\\.)*)\"|([^.\[\]\"]+))")


def split_path(path: str) -> list[str | int]:
    """`phases[0].objective.use` as `["phases", 0, "objective", "use"]`."""
    steps: list[str | int] = []
    for index, quoted, bare in _STEP.findall(path):
        steps.append(int(index) if index else bare or re.sub(r"\\(.)", r"\1", quoted))
    return steps


def join_path(parent: str, step: str | int) -> str:
    """The path extended by one step, in the form of diagnostics; keys that are not bare are quoted."""
    if isinstance(step, int):
        return f"{parent}[{step}]"
    word = step if re.fullmatch(r"[A-Za-z0-9_-]+", step) else '"' + re.sub(r'(["\\])', r"\\\1", step) + '"'
    return f"{parent}.{word}" if parent else word


def parent_path(path: str) -> str:
    """The path without its last step."""
    parent = ""
    for step in split_path(path)[:-1]:
        parent = join_path(parent, step)
    return parent


def plain(node: Node) -> Any:
    """The values alone, as tomllib would return them; invalid nodes are omitted."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Array):
        return [plain(item) for item in node.items if not isinstance(item, Invalid)]
    if isinstance(node, Table):
        return {key: plain(e.value) for key, e in node.entries.items() if not isinstance(e.value, Invalid)}
    return None


def from_plain(value: Any, span: Span | None = None) -> Node:
    """A tree of values whose spans are unknown (or all the same)."""
    if isinstance(value, dict):
        return Table({k: Entry(k, span, from_plain(v, span)) for k, v in value.items()}, span=span, form="inline")
    if isinstance(value, list):
        return Array([from_plain(item, span) for item in value], span)
    return Scalar(value, span)


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every node with its path, the node itself first, in written order."""
    left = [(path, node)]
    while left:
        where, one = left.pop()
        yield where, one
        if isinstance(one, Table):
            left += [(join_path(where, key), entry.value) for key, entry in reversed(one.entries.items())]
        elif isinstance(one, Array):
            left += [(join_path(where, index), one.items[index]) for index in reversed(range(len(one.items)))]


def parts(node: Node) -> Iterator[Node]:
    """The nodes of `walk`, without the cost of their paths."""
    left = [node]
    while left:
        one = left.pop()
        yield one
        if isinstance(one, Table):
            left += [entry.value for entry in reversed(one.entries.values())]
        elif isinstance(one, Array):
            left += reversed(one.items)


def holds_invalid(node: Node) -> bool:
    """Whether this node or anything under it could not be parsed."""
    return any(isinstance(part, Invalid) for part in parts(node))


def copied(node: Node) -> Node:
    """A copy of the tree that may be modified; spans are shared."""
    if isinstance(node, Table):
        entries = {key: Entry(key, entry.span, copied(entry.value)) for key, entry in node.entries.items()}
        return replace(node, entries=entries)
    if isinstance(node, Array):
        return replace(node, items=[copied(item) for item in node.items])
    return replace(node)
