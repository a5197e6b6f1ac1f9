"""Merges several files into one tree: parents left to right, then the spec, then overlays; later files override."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, Label, Suggestion, UsageError
from prerl_spec.language.document import (
    Array,
    Document,
    Entry,
    Invalid,
    Node,
    Scalar,
    Table,
    copied,
    join_path,
    split_path,
    walk,
)
from prerl_spec.language.spec import Spec
from prerl_spec.language.suggest import nearest, one_of
from prerl_spec.language.toml import read

MERGED_BY_ID = "phases"
SUFFIX = ".toml"
DEEPEST_CHAIN = 50
"""Most files that may extend one another in a chain."""
MOST_MERGED = 1000
"""Most merges of one spec: files that each extend the next one twice double the number of merges at every level."""


@dataclass
class Composition:
    """The composed tree, every file that was read (in the order of diagnostics), and the diagnostics."""

    root: Table
    documents: list[Document]
    folders: dict[str, Path]
    """The folder that a file's relative paths start from, by the file's name in spans."""
    diagnostics: list[Diagnostic] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    """Files in the order in which they were merged: later ones override earlier ones."""
    has_gaps: bool = False
    """Whether some file has a header or key that could not be parsed."""
    num_merged: int = 0
    """Files merged so far; one that several others extend counts each time."""
    lost_parent: bool = False
    """Whether a parent could not be read: keys that appear to be missing may be defined there."""

    @property
    def sources(self) -> dict[str, str]:
        return {document.file: document.text for document in self.documents}


class Link(NamedTuple):
    """A file and the item of its `extends` that is being followed."""

    file: Path
    text: Scalar


def compose(spec: Document, folder: Path, overlays: Sequence[Path] = ()) -> Composition:
    """Merges a spec with its parents and overlays. Raises UsageError for an overlay that cannot be read."""
    composition = Composition(Table(form="header"), [spec], {spec.file: folder})
    _over(composition, spec, ())
    for overlay in overlays:
        _over(composition, _read_overlay(composition, overlay), ())
    composition.diagnostics[:0] = [d for document in composition.documents for d in document.diagnostics]
    composition.has_gaps = any(document.has_gaps for document in composition.documents)
    return composition


def over(composition: Composition, document: Document) -> None:
    """Merges one more document over the composition."""
    _over(composition, document, ())


def parent_of(composition: Composition, child: Document, text: Scalar, path: str) -> Document | None:
    """The spec file that a string of `child` names, read once; None, with E0401 reported, if it cannot be read."""
    me = _identity(composition.folders[child.file] / Path(child.file).name)
    return _parent(composition, child, str(text.value), (Link(me, text),), path)


def _read_overlay(composition: Composition, file: Path) -> Document:
    if file.is_dir():
        raise UsageError(f"{file} is a folder", hint="name an overlay file inside it")
    try:
        document = read(file.read_bytes(), str(file))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", hint="name an overlay file") from error
    composition.documents.append(document)
    composition.folders[document.file] = file.parent
    return document


def _over(composition: Composition, document: Document, children: tuple[Link, ...]) -> None:
    """Merges a document over the composition so far: its parents first, then its `unset`, then the document itself."""
    me = _identity(composition.folders[document.file] / Path(document.file).name)
    composition.num_merged += 1
    for written, text in _texts(composition, document, "extends"):
        chain = (*children, Link(me, text))
        parent = _parent(composition, document, written, chain)
        if parent is not None:
            _over(composition, parent, chain)
    for path, text in _texts(composition, document, "unset"):
        if not remove(composition.root, path):
            message = f"`{path}` is not inherited"
            hint = "`unset` removes inherited keys; to remove a key of this file, delete it"
            close = nearest_written(composition.root, path)
            caret = f"did you mean {one_of(close)}?" if close else ""
            meant = tuple(Suggestion(f"did you mean `{p}`?", p) for p in close)
            composition.diagnostics.append(
                Diagnostic(Code.UNSET_NOT_INHERITED, message, text.span, "unset", caret, help=hint, suggestions=meant)
            )
    own = copied(document.root)
    assert isinstance(own, Table), "a document is a table"
    own.entries = {key: entry for key, entry in own.entries.items() if key not in ("extends", "unset")}
    composition.root = merge(composition.root, own)
    composition.layers.append(document.file)


def _texts(composition: Composition, document: Document, key: str) -> list[tuple[str, Scalar]]:
    """The strings of a top-level list of a file; anything else in it is reported."""
    entry = document.root.entries.get(key)
    if entry is None or isinstance(entry.value, Invalid):
        return []
    if not isinstance(entry.value, Array) or entry.value.of_headers:
        span = entry.value.span or entry.span
        alone = isinstance(entry.value, Scalar) and isinstance(entry.value.value, str)
        message = f"`{key}` must be a list of texts{', not one text' if alone else ''}"
        caret = f'write `{key} = ["..."]`'
        composition.lost_parent = composition.lost_parent or key == "extends"
        composition.diagnostics.append(Diagnostic(Code.WRONG_TYPE, message, span, key, caret))
        return []
    found: list[tuple[str, Scalar]] = []
    for index, item in enumerate(entry.value.items):
        if isinstance(item, Scalar) and isinstance(item.value, str):
            found.append((item.value, item))
        elif not isinstance(item, Invalid):
            where = f"{key}[{index}]"
            message = f"every item of `{key}` must be a text"
            composition.diagnostics.append(Diagnostic(Code.WRONG_TYPE, message, item.span or entry.span, where))
    return found


def _parent(
    composition: Composition, child: Document, written: str, chain: tuple[Link, ...], path: str = "extends"
) -> Document | None:
    """The parent that the last link names, or None after reporting why it cannot be used."""
    text = chain[-1].text

    def fail(message: str, help: str) -> None:
        composition.lost_parent = composition.lost_parent or path == "extends"
        composition.diagnostics.append(Diagnostic(Code.EXTENDS, message, text.span, path, help=help))

    place = os.path.expanduser(written)
    name = os.path.normpath(Path(child.file).parent / place) if written else child.file
    file = composition.folders[child.file] / place
    try:
        if "\0" in written or not written or file.is_dir():
            fail(f'"{written}" is not a file', "paths are relative to the file that names them")
            return None
        circle = list(chain[_first(chain, _identity(file)) :])
        if circle:
            composition.diagnostics.append(_circle(circle, list(composition.sources)))
            return None
        if len(chain) > DEEPEST_CHAIN or composition.num_merged > MOST_MERGED:
            composition.num_merged += 1
            if len(chain) > DEEPEST_CHAIN:
                fail(f"more than {DEEPEST_CHAIN} files extend one another in a chain", "remove some of them")
            elif composition.num_merged == MOST_MERGED + 2:  # reported once: every later merge is over the limit too
                fail(f"more than {MOST_MERGED} files are merged", "remove some of them")
            return None
        data = file.read_bytes()
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        fail(f'"{written}" cannot be read: {reason}', f"looked for {os.path.normpath(file)}")
        return None
    known = next((d for d in composition.documents if d.file == name), None)
    if known is not None:
        return known
    document = read(data, name)
    if (why := _no_spec(document)) is not None:
        fail(f'"{written}" is not a spec file: {why}', "name a TOML file in the language of specs")
        return None
    composition.documents.append(document)
    composition.folders[name] = file.parent
    return document


def _no_spec(document: Document) -> str | None:
    """Why a file is no spec at all, as far as can be said without its content; None for one that may be meant as a spec.

    The author of a spec chooses the file, and may be a stranger whose change is checked on a machine with secrets: errors
    quote what they point at, and messages name what they found. So a file of another kind is refused as a whole.
    """
    is_named_as_spec = document.file.endswith(SUFFIX)
    broken = next((d for d in document.diagnostics if d.severity == "error"), None)
    if broken is not None and not is_named_as_spec:
        return f"it is not TOML{'' if broken.span is None else f', at line {broken.span.line}'}"
    strange = [key for key in document.root.entries if key not in Spec.model_fields]
    if len(strange) == len(document.root.entries) and strange:
        return "it has no table or key of a spec"
    if strange and not is_named_as_spec:
        return "it has tables or keys that no spec has"
    return None


def _first(chain: tuple[Link, ...], file: Path) -> int:
    """The index in the chain where the file is already being followed; the chain's length if it is not."""
    return next((i for i, link in enumerate(chain) if link.file == file), len(chain))


def _circle(links: list[Link], files: list[str]) -> Diagnostic:
    """The diagnostic of files that extend one another in a cycle, placed at the one that was read first."""
    spans = [link.text.span for link in links if link.text.span is not None]
    first, *others = sorted(spans, key=lambda span: (files.index(span.file), span))
    names = [span.file for span in spans]
    turned = names.index(first.file)
    round_trip = [*names[turned:], *names[: turned + 1]]
    if len(names) == 1:
        message = f"`{first.file}` extends itself"
    else:
        message = "files extend one another in a cycle: " + " -> ".join(f"`{name}`" for name in round_trip)
    following = dict(zip(round_trip, round_trip[1:], strict=False))
    labels = tuple(Label(span, f"which extends `{following[span.file]}`") for span in others)
    return Diagnostic(
        Code.EXTENDS, message, first, "extends", labels=labels, help="remove one of these `extends` entries"
    )


def _identity(file: Path) -> Path:
    return Path(os.path.realpath(file))


def merge(base: Table, over: Table, key: str = "") -> Table:
    """Merges `over` into `base`: tables deeply, phases by id, everything else replaced.

    A component table with its own `use` replaces the old one entirely.
    """
    merged = Table(dict(base.entries), over.span or base.span, over.header or base.header, over.name or base.name)
    merged.form = over.form if over.header is not None or base.header is None else base.form
    merged.short = over.short or base.short
    merged.has_gap = over.has_gap or base.has_gap
    for name, entry in over.entries.items():
        before = base.entries.get(name)
        value = entry.value if before is None else _merged(before.value, entry.value, f"{key}.{name}" if key else name)
        merged.entries[name] = Entry(name, entry.span, value)
    return merged


def _merged(before: Node, now: Node, key: str) -> Node:
    if isinstance(now, Table) and not names_component(now):
        if isinstance(before, Table):
            return merge(before, now, key)
        if isinstance(before, Scalar) and isinstance(before.value, str):
            now.short = before
        now.has_gap = now.has_gap or isinstance(before, Invalid)
    if isinstance(now, Array) and isinstance(before, Array) and key == MERGED_BY_ID:
        return _merged_by_id(before, now)
    return now


def names_component(table: Table) -> bool:
    """Whether the table has its own `use`."""
    use = table.entries.get("use")
    return use is not None and not isinstance(use.value, Table)


def _merged_by_id(before: Array, now: Array) -> Array:
    """Phases with the id of an inherited one merge into it, the others are appended."""
    items = list(before.items)
    inherited = {_id(item): index for index, item in reversed(list(enumerate(items))) if _id(item) is not None}
    for item in now.items:
        index = inherited.pop(_id(item), None)
        there = items[index] if index is not None else None
        if index is not None and isinstance(there, Table) and isinstance(item, Table):
            items[index] = merge(there, item)
        else:
            items.append(item)
    return Array(items, now.span, now.of_headers)


def _id(item: Node) -> str | None:
    named = item.get("id") if isinstance(item, Table) else None
    return named.value if isinstance(named, Scalar) and isinstance(named.value, str) else None


def find(root: Node, path: str) -> tuple[Node, Table | Array, str | int] | None:
    """The node at a path, its parent, and its key there; a phase may be addressed by its id."""
    node: Node = root
    holder: Table | Array | None = None
    key: str | int = ""
    for step in split_path(path):
        if isinstance(node, Table) and isinstance(step, str) and step in node.entries:
            holder, key, node = node, step, node.entries[step].value
        elif isinstance(node, Array):
            index = step if isinstance(step, int) else _index_of(node, step)
            if index is None or index >= len(node.items):
                return None
            holder, key, node = node, index, node.items[index]
        else:
            return None
    return None if holder is None else (node, holder, key)


def nearest_written(root: Node, path: str) -> tuple[str, ...]:
    """At most three written paths close to a path: each unknown step replaced by the nearest known one,
    else the paths that end in the same word."""
    found = [(root, "")]
    steps = split_path(path)
    for step in steps:
        found = [(node, join_path(way, key)) for at, way in found for key, node in _nearest_steps(at, step)]
    if not found and steps:
        found = [(node, way) for way, node in walk(root) if way and split_path(way)[-1] == steps[-1]]
    return tuple(way for _, way in found if way)[:3]


def _nearest_steps(node: Node, step: str | int) -> list[tuple[str | int, Node]]:
    """The step itself if it exists, else the nearest keys or phase ids."""
    inner = find(node, join_path("", step))
    if inner is not None:
        return [(step, inner[0])]
    if isinstance(node, Table):
        return [(key, node.entries[key].value) for key in nearest(str(step), node.entries)]
    ids = {name: item for item in node.items if (name := _id(item))} if isinstance(node, Array) else {}
    return [(name, ids[name]) for name in nearest(str(step), ids)]


def _index_of(items: Array, id: str) -> int | None:
    return next((i for i, item in enumerate(items.items) if _id(item) == id), None)


def remove(root: Table, path: str) -> bool:
    """Removes the node at a path; False if there is none. The nodes above it are copied, not changed in place."""
    steps = split_path(path)
    if find(root, path) is None:
        return False
    node: Table | Array = root
    for step in steps[:-1]:
        child: Node
        if isinstance(node, Table):
            entry = node.entries[str(step)]
            child = copied(entry.value)
            node.entries[entry.key] = Entry(entry.key, entry.span, child)
        else:
            index = step if isinstance(step, int) else _index_of(node, step)
            assert index is not None, "find has walked this path"
            child = node.items[index] = copied(node.items[index])
        assert isinstance(child, Table | Array), "find has walked this path"
        node = child
    last = steps[-1]
    if isinstance(node, Table):
        del node.entries[str(last)]
    else:
        index = last if isinstance(last, int) else _index_of(node, last)
        assert index is not None, "find has walked this path"
        del node.items[index]
    return True
