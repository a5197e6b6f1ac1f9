"""`--set path=VALUE` and `--unset path`, merged last; each argument is treated as a one-line source file."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, Span, Suggestion, UsageError
from prerl_spec.language.compose import Composition, find, names_component, nearest_written, remove
from prerl_spec.language.document import Array, Document, Entry, Node, Scalar, Table, join_path
from prerl_spec.language.lexing import Fault, named
from prerl_spec.language.spec import is_core_table
from prerl_spec.language.suggest import nearest, one_of
from prerl_spec.language.toml import read_value

_SEGMENT = re.compile(r"""\s*(?:\.?\s*([A-Za-z0-9_@-]+|"(?:[^"\\]|\\.)*"|'[^']*')|\[\s*(\d+)\s*\])\s*""")
_UNDECODED = re.compile("[\udc80-\udcff]")
"""How Python represents command-line bytes that are not UTF-8."""
_FREE_NAMES = ("vars", "data", "requires")
"""Tables with user-defined keys: an override may name only keys that are written."""
_READ_BEFORE = {"extends": "--overlay FILE", "unset": "--unset PATH"}
"""Keys that take effect while files are composed, and the options that replace them on the command line."""


def override(composition: Composition, sets: Sequence[str], unsets: Sequence[str], below: str = "") -> None:
    """Applies --unset, then --set, to the composed tree; errors are added to the composition's diagnostics. The paths of
    `sets` begin at the table `below`, which is written. Raises UsageError for a --set without a value."""
    for argument in sets:
        if "=" not in argument:
            raise UsageError(f"--set {argument} sets no value", hint=f"write --set {argument or 'PATH'}=VALUE")
    for number, argument in enumerate(unsets, 1):
        source = _source(composition, f"<--unset #{number}>", argument)
        path = "".join(
            join_path("", s) if isinstance(s, str) and not i else _step(s) for i, s in enumerate(_plain(argument))
        )
        if not path or not remove(composition.root, path):
            span = _fault_of(composition.root, argument, source)
            close = nearest_written(composition.root, path)
            caret = f"did you mean {one_of(close)}?" if close else ""
            meant = tuple(Suggestion(f"did you mean `{p}`?", p) for p in close)
            _fail(
                composition,
                Code.OVERRIDE_PATH,
                f"nothing is written at `{argument}`",
                span,
                argument,
                caret,
                meant,
                of_absence=True,
            )
    for number, argument in enumerate(sets, 1):
        source = _source(composition, f"<--set #{number}>", argument)
        if (stray := _UNDECODED.search(argument)) is not None:
            span = Span(source, 1, stray.start() + 1, 1, stray.start() + 2)
            _fail(composition, Code.NOT_UTF8, f"byte 0x{ord(stray[0]) & 0xFF:02x} is not UTF-8", span, "")
            continue
        _set(composition, source, argument, below)


def as_override_mistake(diagnostic: Diagnostic) -> Diagnostic:
    """The same diagnostic, as E0403 (unknown path) where the grammar rejects a key that --set introduced."""
    from_set = diagnostic.span is not None and diagnostic.span.file.startswith("<--set")
    no_component = diagnostic.code == Code.MALFORMED_COMPONENT and diagnostic.of_absence
    if from_set and (diagnostic.code in (Code.UNKNOWN_KEY, Code.NO_SUCH_SLOT) or no_component):
        return replace(diagnostic, code=Code.OVERRIDE_PATH)
    return diagnostic


def below(node: Node) -> Entry | None:
    """The key that --set addresses below a node that is a table only because of that path (`run.seed.deep`); else None."""
    if not isinstance(node, Table) or node.form != "dotted" or node.span is None:
        return None
    return next(iter(node.entries.values()), None) if node.span.file.startswith("<--set") else None


def _source(composition: Composition, name: str, argument: str) -> str:
    composition.documents.append(Document(name, argument, Table(), []))
    composition.folders[name] = Path()
    composition.layers.append(name)
    return name


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else "." + join_path("", step)


def _plain(argument: str) -> list[str | int]:
    found = _segments(argument)
    return [step for step, _, _ in found[0]] if found is not None and found[1] == len(argument) else []


def _fault_of(root: Table, argument: str, source: str) -> Span:
    """The span of the first unknown step of a path; the whole argument if it is not a path."""
    found = _segments(argument)
    node: Node = root
    if found is not None and found[1] == len(argument):
        for step, start, stop in found[0]:
            inner = find(node, join_path("", step) if isinstance(step, str) else f"[{step}]")
            if inner is None:
                return Span(source, 1, start + 1, 1, stop + 1)
            node = inner[0]
    return Span(source, 1, 1, 1, max(2, len(argument) + 1))


def _segments(argument: str) -> tuple[list[tuple[str | int, int, int]], int] | None:
    """(key or index, start, end) of each step of a path, and where the path ends."""
    at = 0
    if argument.lstrip().startswith("."):
        return None
    steps: list[tuple[str | int, int, int]] = []
    while match := _SEGMENT.match(argument, at):
        if match[2] is not None:
            steps.append((int(match[2]), match.start(2), match.end(2)))
        else:
            word = match[1]
            bare = re.sub(r"\\(.)", r"\1", word[1:-1]) if word[0] in "\"'" else word
            steps.append((bare, match.start(1), match.end(1)))
        at = match.end()
    return (steps, at) if steps else None


def _set(composition: Composition, source: str, argument: str, below: str) -> None:
    found = _segments(argument)
    if found is None or not argument[found[1] :].startswith("="):
        end = found[1] if found else 0
        seen = argument[end]
        message = "no path before the `=`" if end == 0 and seen == "=" else f"unexpected {named(seen)} in a path"
        caret = "paths are written `phases.refine.objective.coefficient` or `phases[0].data`"
        _fail(composition, Code.OVERRIDE_PATH, message, Span(source, 1, end + 1, 1, end + 2), argument, caret)
        return
    steps, end = found
    value = _value(composition, source, argument, end + 1)
    if value is not None:
        _put(composition, source, [*((step, 0, 0) for step in _plain(below)), *steps], value)


def _value(composition: Composition, source: str, argument: str, start: int) -> Node | None:
    """The TOML value after `=`; a bare word that is not TOML becomes a string, which only text settings accept."""
    start += len(argument[start:]) - len(argument[start:].lstrip())
    try:
        return read_value(argument, source, start)
    except Fault as fault:
        span = Span(source, 1, start + 1, 1, max(start + 2, len(argument) + 1))
        if argument[start : start + 1] in ("", '"', "'", "[", "{"):
            _fail(composition, Code.SET_VALUE, f"the value is not TOML: {fault.message}", span, argument)
            return None
        return Scalar(argument[start:].rstrip(), span, bare=True)


def _put(composition: Composition, source: str, steps: list[tuple[str | int, int, int]], value: Node) -> None:
    """Writes the value at a path, creating the tables above it; phases, list items and user-defined names must exist."""
    node: Node = composition.root
    whole: Span | None = None  # the step that names the table which contains the next one
    path = ""
    for depth, (step, start, stop) in enumerate(steps):
        span = Span(source, 1, start + 1, 1, stop + 1)
        last = depth == len(steps) - 1
        if isinstance(node, Array):
            item = find(node, join_path("", step) if isinstance(step, str) else f"[{step}]")
            if item is None:
                _unknown(composition, node, path, step, span)
                return
            _, holder, key = item
            assert isinstance(holder, Array), "the parent of an item is a list"
            assert isinstance(key, int), "items of a list are numbered"
            path = join_path(path, key)
            if not (last or holder.of_headers) and _ends_at(holder.items[key], path):
                _nothing_below(composition, source, path, steps[depth + 1])
                return
            node = holder.items[key] = value if last else _inner(holder.items[key], span)
            whole = span
            continue
        assert isinstance(node, Table), "every step but the last is a table or a list"
        entry = node.entries.get(step) if isinstance(step, str) else None
        if not path and step in _READ_BEFORE:
            message = f"`{step}` takes effect before --set"
            _fail(composition, Code.OVERRIDE_PATH, message, span, str(step), f"use {_READ_BEFORE[str(step)]} instead")
            return
        if not isinstance(step, str) or (entry is None and path in _FREE_NAMES):
            _unknown(composition, node, path, step, span)
            return
        if entry is None and not last and isinstance(steps[depth + 1][0], int):
            number = steps[depth + 1]
            message = f"`{join_path(path, step)}` is not written, so it has no item {number[0]}"
            _fail(composition, Code.OVERRIDE_PATH, message, span, join_path(path, step), "set the whole list")
            return
        holder_path, path = path, join_path(path, step)
        if not last and entry is not None and _ends_at(entry.value, path):
            _nothing_below(composition, source, path, steps[depth + 1])
            return
        if last:
            if step == "use" and not is_core_table(
                holder_path
            ):  # a new component inherits none of the old one's settings
                node.entries.clear()
                node.short, node.header = None, whole
            node.entries[step] = Entry(step, span, _over(entry, value))
            return
        node, whole = _table(node, entry, step, span), span


def _ends_at(node: Node, path: str) -> bool:
    """Whether a value can have no keys below it: a number, date or boolean, a name in `use`, a variable's string."""
    if not isinstance(node, Scalar):
        return False
    return not isinstance(node.value, str) or path.endswith(".use") or path.startswith("vars.")


def _nothing_below(composition: Composition, source: str, path: str, step: tuple[str | int, int, int]) -> None:
    key, start, stop = step
    message = f"`{path}` is a single value: it has no `{key}`"
    _fail(composition, Code.OVERRIDE_PATH, message, Span(source, 1, start + 1, 1, stop + 1), join_path(path, key))


def _over(entry: Entry | None, value: Node) -> Node:
    """A table of settings without `use` keeps the component that it overrides."""
    if entry is None or not isinstance(value, Table) or names_component(value):
        return value
    if isinstance(entry.value, Scalar) and isinstance(entry.value.value, str):
        value.short = entry.value
    elif isinstance(entry.value, Table) and names_component(entry.value):
        value.entries = {**entry.value.entries, **value.entries}
        value.header = entry.value.header
    return value


def _table(holder: Table, entry: Entry | None, step: str, span: Span) -> Table | Array:
    """The table or list under a key, created if there is none; a component name there becomes its `short`."""
    child = _inner(None if entry is None else entry.value, span)
    if entry is None or child is not entry.value:
        holder.entries[step] = Entry(step, entry.span if entry is not None else span, child)
    return child


def _inner(there: Node | None, span: Span) -> Table | Array:
    """The existing table or list, else a new table; a component name in its place becomes its `short`."""
    if isinstance(there, Table | Array):
        return there
    text = there if isinstance(there, Scalar) and isinstance(there.value, str) else None
    return Table(form="dotted", span=span, short=text)


def _unknown(composition: Composition, node: Table | Array, path: str, step: str | int, span: Span) -> None:
    if isinstance(node, Array):
        ids = [i.entries["id"].value for i in node.items if isinstance(i, Table) and "id" in i.entries]
        names = [str(i.value) for i in ids if isinstance(i, Scalar)]
    else:
        names = list(node.entries)
    close = nearest(str(step), names)
    caret = f"did you mean {one_of(close)}?" if close else f"expected {one_of(names)}" if names else ""
    if isinstance(node, Array) and not close and isinstance(step, str):
        items = [f"{path}.{name}" for name in names] or [join_path(path, number) for number in range(len(node.items))]
        caret = f"name an item before it: {one_of(f'{item}.{step}' for item in items[:3])}" if items else ""
    meant = tuple(Suggestion(f"did you mean `{name}`?", name) for name in close)
    holder = f"`{path}`" if path else "the spec"
    _fail(composition, Code.OVERRIDE_PATH, f"{holder} has no `{step}`", span, join_path(path, step), caret, meant)


def _fail(
    composition: Composition,
    code: Code,
    message: str,
    span: Span,
    path: str,
    caret: str = "",
    meant: tuple[Suggestion, ...] = (),
    of_absence: bool = False,
) -> None:
    composition.diagnostics.append(
        Diagnostic(code, message, span, path, caret, suggestions=meant, of_absence=of_absence)
    )
