"""References: `${path}`, `${env:NAME}`, `${env:NAME:-default}`, `${secret:NAME}`, and `$${` for a literal. No expressions."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, Label, Span, Suggestion
from prerl_spec.language.compose import find
from prerl_spec.language.document import (
    Array,
    Entry,
    Invalid,
    Node,
    Scalar,
    Table,
    copied,
    join_path,
    parts,
    split_path,
    walk,
)
from prerl_spec.language.spec import is_component_place
from prerl_spec.language.suggest import nearest, one_of

_PIECE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_SECRET = re.compile(r"secret:([A-Za-z_][A-Za-z0-9_]*)")
_SEGMENT = r"""(?:[A-Za-z0-9_-]+|"[^"]+"|'[^']+')"""
_PATH = re.compile(rf"{_SEGMENT}(?:\[\d+\])*(?:\.{_SEGMENT}(?:\[\d+\])*)*")
LONGEST_CHAIN = 50
"""Most references that may follow one another in a chain."""
MOST_INTERPOLATED = 2**20
"""Most bytes that all references together may insert: a few lines that double each other would fill any memory."""
_COPY = 64
"""Least bytes counted for each value of a copied table or list, which takes memory and time whatever its text."""
MOST_SUGGESTED = 50
"""Most undefined references that get a suggestion: each is compared with every known name."""
_VARIABLE = re.compile(r"vars\.[A-Za-z0-9_-]+")


@dataclass
class Interpolation:
    """The diagnostics, the `vars` that are used, and the secrets that are named (path -> names)."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    undefined: list[tuple[str, Diagnostic]] = field(default_factory=list)
    """References to paths that are not written, with the path at which each lookup fails; no errors where a misspelt key or
    an unreadable value accounts for the missing one."""
    used: set[str] = field(default_factory=set)
    secrets: dict[str, tuple[str, ...]] = field(default_factory=dict)


def interpolate(
    root: Table, written: Iterable[Table] = (), environment: Mapping[str, str] | None = None
) -> Interpolation:
    """Replaces every reference in the tree by its value; one that fails becomes Invalid and is reported.

    The overlays of study arms are not interpolated here, but when an arm is composed. `written` are the files before
    composition: a variable counts as used if one of them uses it, even where `--set` or a child overrides that value.
    """
    work = _Work(root, os.environ if environment is None else environment)
    for file in written:
        work.result.used |= set(_used_in(file))
    for holder, key, path in list(_texts(root, "")):
        work.settle(holder, key, path)
    for path, node in walk(root):
        # A reference in an arm, or where none is allowed, still counts as a use of its variable.
        left_alone = path.startswith("study.arms.") or is_component_place(path.removesuffix(".use"))
        if left_alone and isinstance(node, Scalar) and isinstance(node.value, str):
            work.result.used |= {_first_two(m[1]) for m in _PIECE.finditer(node.value) if m[1]}
    work.unused()
    return work.result


def _used_in(file: Table) -> Iterator[str]:
    """The variables that a file refers to."""
    for node in parts(file):
        if isinstance(node, Scalar) and isinstance(node.value, str) and "${" in node.value:
            yield from (_first_two(m[1]) for m in _PIECE.finditer(node.value) if m[1])


def _texts(node: Node, path: str) -> Iterator[tuple[Table | Array, str | int, str]]:
    """Parent, key and path of every string that contains a reference."""
    children: list[tuple[str | int, Node]] = []
    if isinstance(node, Table):
        children = [(key, entry.value) for key, entry in node.entries.items()]
    elif isinstance(node, Array):
        children = list(enumerate(node.items))
    for key, child in children:
        where = join_path(path, key)
        if where == "study.arms":
            continue
        if isinstance(child, Scalar):
            if isinstance(child.value, str) and "${" in child.value and not (key == "use" or is_component_place(where)):
                assert isinstance(node, Table | Array), "a child has a parent"
                yield node, key, where
        else:
            yield from _texts(child, where)


class _Work:
    def __init__(self, root: Table, environment: Mapping[str, str]) -> None:
        self.root, self.environment = root, environment
        self.result = Interpolation()
        self.settled: set[str] = set()
        self.open: list[tuple[str, Scalar]] = []
        self.interpolated = 0
        """Bytes that references have inserted so far."""

    def settle(self, holder: Table | Array, key: str | int, path: str) -> None:
        """Replaces the string under a key, after everything that it refers to."""
        if path in self.settled:
            return
        text = _child(holder, key)
        if not isinstance(text, Scalar) or not isinstance(text.value, str):
            return
        if path in [p for p, _ in self.open]:
            self.cycle(path)
            return
        self.open.append((path, text))
        try:
            settled = self.replaced(text, path)
        finally:
            self.open.pop()
        if path not in self.settled:  # already settled as a member of a cycle
            self.settled.add(path)
            _put(holder, key, settled)

    def replaced(self, text: Scalar, path: str) -> Node:
        """The interpolated value: the referenced node if the string is exactly one reference, else a string."""
        if "${" not in text.value:
            return text
        whole = _PIECE.fullmatch(text.value)
        if whole is not None and whole[1] is not None:
            node = self.meaning(text, whole[1], path)
            if isinstance(node, Scalar) and not self.affords(_size(node.value), text, path):
                return Invalid(text.span)
            return node
        pieces: list[str] = []
        kinds: set[str] = set()
        via: Span | None = None
        at = 0
        for match in _PIECE.finditer(text.value):
            pieces.append(text.value[at : match.start()])
            at = match.end()
            if match.group() == "$${":
                pieces.append("${")
                continue
            if match[1] is None:
                self.result.used |= {_first_two(m[0]) for m in _VARIABLE.finditer(text.value)}
                return self.fail(
                    Code.REFERENCE,
                    text,
                    path,
                    "a reference is not closed",
                    "`${` opens a reference; write `$${` for a literal `${`",
                )
            node = self.meaning(text, match[1], path)
            if isinstance(node, Invalid):
                return node
            if not isinstance(node, Scalar):
                return self.fail(
                    Code.REFERENCE,
                    text,
                    path,
                    f"`{match[1]}` is not a single value",
                    "only single values can be embedded in a text",
                )
            pieces.append(as_toml_text(node.value))
            kinds.add(node.reference or "path")
            via = via or node.via
        pieces.append(text.value[at:])
        if not self.affords(sum(map(_size, pieces)), text, path):
            return Invalid(text.span)
        kind = "secret" if "secret" in kinds else "path" if "path" in kinds else "env" if kinds else None
        value = text.value if kind == "secret" else "".join(pieces)
        return Scalar(value, text.span, via, kind)  # type: ignore[arg-type]

    def meaning(self, text: Scalar, inside: str, path: str) -> Node:
        """The value of one reference, with the span of its use."""
        if env := _ENV.fullmatch(inside):
            value = self.environment.get(env[1], env[2])
            if value is None:
                caret = f"set it, or write `${{env:{env[1]}:-default}}`"
                return self.fail(
                    Code.ENVIRONMENT_VARIABLE, text, path, f"environment variable {env[1]} is not set", caret
                )
            return Scalar(value, text.span, None, "env")
        if secret := _SECRET.fullmatch(inside):
            self.result.secrets[path] = (*self.result.secrets.get(path, ()), secret[1])
            return Scalar(f"${{secret:{secret[1]}}}", text.span, None, "secret")
        if not _PATH.fullmatch(inside):
            self.result.used |= {_first_two(m[0]) for m in _VARIABLE.finditer(inside)}
            return self.fail(
                Code.REFERENCE, text, path, f"`${{{inside}}}` is not a reference", "references are paths: `${vars.lr}`"
            )
        return self.referred(text, inside, path)

    def referred(self, text: Scalar, target: str, path: str) -> Node:
        """The node at another path, after interpolating that node."""
        self.result.used.add(_first_two(target))
        if len(self.open) > LONGEST_CHAIN:
            return self.fail(Code.REFERENCE, text, path, f"more than {LONGEST_CHAIN} references form a chain")
        found = find(self.root, target)
        if found is None:
            return self.undefined(text, target, path)
        node, holder, key = found
        where = _canonical(self.root, target)
        if isinstance(node, Scalar):
            self.settle(holder, key, where)
        else:
            for inner_holder, inner_key, inner_path in list(_texts(node, where)):
                self.settle(inner_holder, inner_key, inner_path)
        if path in self.settled:  # it is a member of a cycle
            return Invalid(text.span)
        node = _child(holder, key)
        if isinstance(node, Invalid):
            return Invalid(text.span)
        if isinstance(node, Scalar):
            return Scalar(node.value, text.span, node.via or node.span, node.reference or "path")
        if not self.affords(sum(_sizes(node)), text, path):
            return Invalid(text.span)
        return _placed(copied(node), text.span)

    def affords(self, size: int, text: Scalar, path: str) -> bool:
        """Whether this many more bytes may be interpolated; the first string over the limit is reported, once."""
        had_room = self.interpolated <= MOST_INTERPOLATED
        self.interpolated += size
        if had_room and self.interpolated > MOST_INTERPOLATED:
            message = f"references insert more than {MOST_INTERPOLATED // 2**20} MiB"
            self.fail(Code.REFERENCE, text, path, message, "counted over the whole spec, up to this text")
        return self.interpolated <= MOST_INTERPOLATED

    def undefined(self, text: Scalar, target: str, path: str) -> Node:
        steps = split_path(target)
        holder: Node = self.root
        where = ""
        for step in steps:
            inner = find(holder, join_path("", step) if isinstance(step, str) else f"[{step}]")
            if inner is None:
                if isinstance(holder, Table) and holder.has_gap:
                    return Invalid(text.span)
                if isinstance(holder, Table | Array):
                    where = join_path(where, step)
                names = holder.entries if isinstance(holder, Table) else ()
                close = nearest(str(step), names) if len(self.result.undefined) < MOST_SUGGESTED else ()
                self.result.used |= {f"vars.{k}" for k in close if steps[0] == "vars"}
                words = (
                    f"did you mean {one_of(close)}?"
                    if close
                    else "references can read written values only, not defaults"
                )
                meant = tuple(Suggestion(f"did you mean `{k}`?", text.value.replace(str(step), k)) for k in close)
                self.fail(Code.REFERENCE, text, path, f"nothing is written at `{target}`", words, meant)
                self.result.undefined.append((where, replace(self.result.diagnostics.pop(), of_absence=True)))
                return Invalid(text.span)
            holder = inner[0]
            where = join_path(where, inner[2])
        raise AssertionError("a path that is not found fails at one of its steps")

    def cycle(self, path: str) -> None:
        """Reports a cycle once, at its first member in file order; every member becomes Invalid."""
        start = [p for p, _ in self.open].index(path)
        members = sorted(self.open[start:], key=lambda m: (m[1].span is None, m[1].span))
        first, *others = members
        labels = tuple(Label(m.span, "also in the cycle") for _, m in others if m.span is not None)
        message = "references form a cycle: " + " -> ".join([p for p, _ in self.open[start:]] + [path])
        self.result.diagnostics.append(Diagnostic(Code.REFERENCE, message, first[1].span, first[0], labels=labels))
        for member, text in members:
            self.settled.add(member)
            found = find(self.root, member)
            if found is not None:
                _put(found[1], found[2], Invalid(text.span))

    def fail(
        self, code: Code, text: Scalar, path: str, message: str, caret: str = "", meant: tuple[Suggestion, ...] = ()
    ) -> Invalid:
        self.result.diagnostics.append(Diagnostic(code, message, text.span, path, caret, suggestions=meant))
        return Invalid(text.span)

    def unused(self) -> None:
        declared = self.root.get("vars")
        for key, entry in declared.entries.items() if isinstance(declared, Table) else ():
            if f"vars.{key}" not in self.result.used:
                message = f"`{key}` is declared but never used"
                caret = f"`${{vars.{key}}}` would use it"
                where = join_path("vars", key)
                self.result.diagnostics.append(Diagnostic(Code.UNUSED, message, entry.span, where, caret))


def as_toml_text(value: object) -> str:
    """A value as embedded in a string: strings verbatim, everything else as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _size(value: object) -> int:
    """Bytes of a value as TOML writes it."""
    text = as_toml_text(value)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _sizes(node: Node) -> Iterator[int]:
    """Bytes of each value in or under a node, at least `_COPY` each: an empty value also costs memory to copy."""
    for part in parts(node):
        yield max(_COPY, _size(part.value) if isinstance(part, Scalar) else 0)


def _first_two(path: str) -> str:
    return ".".join(str(step) for step in split_path(path)[:2])


def _canonical(root: Table, path: str) -> str:
    """The path with phases addressed by index."""
    where = ""
    node: Node = root
    for step in split_path(path):
        found = find(node, join_path("", step) if isinstance(step, str) else f"[{step}]")
        assert found is not None, "the path has been found before"
        node, _, key = found
        where = join_path(where, key)
    return where


def _child(holder: Table | Array, key: str | int) -> Node:
    if isinstance(holder, Table):
        return holder.entries[str(key)].value
    assert isinstance(key, int), "items of a list are numbered"
    return holder.items[key]


def _put(holder: Table | Array, key: str | int, node: Node) -> None:
    if isinstance(holder, Table):
        entry = holder.entries[str(key)]
        holder.entries[entry.key] = Entry(entry.key, entry.span, node)
    else:
        assert isinstance(key, int), "items of a list are numbered"
        holder.items[key] = node


def _placed(node: Node, span: Span | None) -> Node:
    """A copied tree with every span set to that of the reference."""
    for part in parts(node):
        if not isinstance(part, Invalid):
            part.via = part.via or part.span
        if isinstance(part, Scalar):
            part.reference = part.reference or "path"
        part.span = span
        if isinstance(part, Table):
            part.header = part.name = None
            part.form = "inline"
            part.entries = {k: Entry(k, span, e.value) for k, e in part.entries.items()}
    return node
