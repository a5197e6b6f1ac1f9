"""A spec as a tree that remembers where each key and each value stood; what the words mean is for later rooms to say."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from prerl_spec.errors import Diagnostic, Span

Form = Literal["header", "implicit", "dotted", "inline"]


@dataclass
class Scalar:
    """A text, number, truth value or date: `Scalar(8, Span("a.toml", 3, 14, 3, 15))`.

    `via` is where the value was defined when it came through a reference; `reference` says which kind of reference.
    `bare` is a word from the command line that is not TOML: a text where a text is wanted.
    """

    value: Any
    span: Span | None
    via: Span | None = None
    reference: Literal["path", "env", "secret"] | None = None
    bare: bool = False


@dataclass
class Invalid:
    """Something was written here that could not be read: present, but nothing is known of it.

    `has_doubtful_key`: not even that its key was read as it was meant, as in `out put = 1`.
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

    `name` is the header's last segment. `short` is the text that a table without `use` was merged into, so that
    settings can be added to `verifier = "math_verify"`. `has_gap`: some key in it could not be read. `via` as in Scalar.
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
        """The value under a key, None where the key is not written."""
        entry = self.entries.get(key)
        return None if entry is None else entry.value


Node: TypeAlias = Scalar | Invalid | Array | Table


@dataclass
class Document:
    """One file, read: its tree, its text (without byte-order mark) and the syntax errors found on the way."""

    file: str
    text: str
    root: Table
    diagnostics: list[Diagnostic]
    has_gaps: bool = False
    """Whether a header or a key could not be read, so that what seems to be missing may well be there."""


_STEP = re.compile(r"\.?(?:\[(\d+)\]|\"((?:[^\"\\]|\\.)*)\"|([^.\[\]\"]+))")


def split_path(path: str) -> list[str | int]:
    """`phases[0].objective.use` as `["phases", 0, "objective", "use"]`."""
    steps: list[str | int] = []
    for index, quoted, bare in _STEP.findall(path):
        steps.append(int(index) if index else bare or re.sub(r"\\(.)", r"\1", quoted))
    return steps


def join_path(parent: str, step: str | int) -> str:
    """A path one step longer, written as diagnostics write it; keys that are not bare are quoted."""
    if isinstance(step, int):
        return f"{parent}[{step}]"
    word = step if re.fullmatch(r"[A-Za-z0-9_-]+", step) else '"' + re.sub(r'(["\\])', r"\\\1", step) + '"'
    return f"{parent}.{word}" if parent else word


def parent_path(path: str) -> str:
    """The path one step shorter."""
    parent = ""
    for step in split_path(path)[:-1]:
        parent = join_path(parent, step)
    return parent


def plain(node: Node) -> Any:
    """The values alone, as tomllib would give them; what could not be read is left out."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Array):
        return [plain(item) for item in node.items if not isinstance(item, Invalid)]
    if isinstance(node, Table):
        return {key: plain(e.value) for key, e in node.entries.items() if not isinstance(e.value, Invalid)}
    return None


def from_plain(value: Any, span: Span | None = None) -> Node:
    """A tree for values whose places are not known (or are all the same)."""
    if isinstance(value, dict):
        return Table({k: Entry(k, span, from_plain(v, span)) for k, v in value.items()}, span=span, form="inline")
    if isinstance(value, list):
        return Array([from_plain(item, span) for item in value], span)
    return Scalar(value, span)


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every node with its path, the node itself first, in written order."""
    yield path, node
    if isinstance(node, Table):
        for key, entry in node.entries.items():
            yield from walk(entry.value, join_path(path, key))
    elif isinstance(node, Array):
        for index, item in enumerate(node.items):
            yield from walk(item, join_path(path, index))


def holds_invalid(node: Node) -> bool:
    """Whether anything in or under this node could not be read."""
    return any(isinstance(n, Invalid) for _, n in walk(node))


def copied(node: Node) -> Node:
    """A tree of its own, to be changed; places are shared."""
    if isinstance(node, Table):
        entries = {key: Entry(key, entry.span, copied(entry.value)) for key, entry in node.entries.items()}
        return replace(node, entries=entries)
    if isinstance(node, Array):
        return replace(node, items=[copied(item) for item in node.items])
    return replace(node)
