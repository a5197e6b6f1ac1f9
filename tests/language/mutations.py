"""One-character typos of every key, component name and closed choice of a spec."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Diagnostic, Span
from prerl_spec.language.document import Scalar, Table, join_path, parent_path, walk
from prerl_spec.language.spec import Spec
from prerl_spec.registry.entry_points import installed
from prerl_spec.registry.settings import Setting, settings_of

SHELF = installed()
LETTERS = "abcdefghijklmnopqrstuvwxyz_"


@dataclass(frozen=True)
class Word:
    """A word of a spec that has a right spelling; `others` may stand in its place, so they are no typos of it."""

    text: str
    span: Span
    path: str
    others: frozenset[str]
    role: Literal["key", "use", "choice"]


@dataclass(frozen=True)
class Verdict:
    word: Word
    typo: str
    refused: bool
    suggested: bool


def words(resolved: Resolved) -> Iterator[Word]:
    """Keys of core tables and of component settings, `use` values and closed choices; words of two letters aside."""
    for path, node in walk(resolved.root):
        owner = resolved.built.get(path)
        if isinstance(node, Table) and (known := _keys(resolved, path)) is not None:
            for key, entry in node.entries.items():
                if key in known and len(key) > 2 and entry.span is not None:
                    yield Word(key, entry.span, join_path(path, key), frozenset(known), "key")
        if isinstance(node, Scalar) and isinstance(node.value, str) and node.span is not None:
            key = path.rpartition(".")[2].partition("[")[0]
            holder = parent_path(path.rpartition("[")[0] if path.endswith("]") and owner is None else path)
            parent = resolved.built.get(holder)
            setting = _settings(resolved, holder).get(key)
            if owner is not None or (key == "use" and parent is not None):
                kind = (owner or parent).kind  # type: ignore[union-attr]
                yield Word(node.value, node.span, path, frozenset(SHELF.names(kind)), "use")
            elif setting is not None and node.value in setting.choices and not setting.takes_text:
                yield Word(node.value, node.span, path, frozenset(setting.choices), "choice")


def _settings(resolved: Resolved, path: str) -> Mapping[str, Setting]:
    """The settings of the component or core table at a path."""
    if path in resolved.built:
        return settings_of(type(resolved.built[path].component))
    core = settings_of(Spec)
    if not path:
        return core
    section = core[path.partition("[")[0]].section if path.partition("[")[0] in core else None
    return settings_of(section) if section is not None and "." not in path else {}


def _keys(resolved: Resolved, path: str) -> set[str] | None:
    known = set(_settings(resolved, path))
    return {*known, "use"} if path in resolved.built else known or None


def typos(right: Word, chance: random.Random) -> set[str]:
    """Every deletion, transposition of neighbours, and one insertion and substitution a place."""
    word = right.text
    found: set[str] = set()
    for i in range(len(word)):
        found.add(word[:i] + word[i + 1 :])
        found.add(word[:i] + chance.choice(LETTERS) + word[i + 1 :])
        found.add(word[:i] + chance.choice(LETTERS) + word[i:])
        if i + 1 < len(word):
            found.add(word[:i] + word[i + 1] + word[i] + word[i + 2 :])
    return found - right.others


def judge(text: str, word: Word, typo: str) -> Verdict:
    """The spec with one word mistyped: is it refused, and is the right word suggested?"""
    lines = text.split("\n")
    line = lines[word.span.line - 1]
    start, end = word.span.column - 1, word.span.end_column - 1
    written = line[start:end]
    lines[word.span.line - 1] = line[:start] + written.replace(word.text, typo) + line[end:]
    found = [d for d in diagnose(resolve_text("\n".join(lines), word.span.file)) if d.severity == "error"]
    return Verdict(word, typo, bool(found), any(_suggests(d, word.text) for d in found))


def _suggests(diagnostic: Diagnostic, word: str) -> bool:
    return any(s.replacement.strip('"') == word for s in diagnostic.suggestions)
