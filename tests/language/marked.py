"""Specs with marks in them: «E0301» stands before the place that a diagnostic must point at, «label» before a label's.

«E0301>grpo» also says which word must be suggested. Nothing else may be found.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from prerl_spec.compiler.resolve.resolve import resolve
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Diagnostic, Span

_MARK = re.compile("«([^»]*)»")
SPEC = "spec.toml"


class Place(NamedTuple):
    """`Place("spec.toml", "E0301", 4, 7)`."""

    file: str
    code: str
    line: int
    column: int


@dataclass
class Marks:
    """What the marks of one or several files ask for."""

    errors: list[Place] = field(default_factory=list)
    labels: list[Place] = field(default_factory=list)
    suggestions: dict[Place, str] = field(default_factory=dict)

    def strip(self, file: str, marked: str) -> str:
        """The text without its marks, which are noted."""
        text = ""
        for plain, mark in _pieces(marked):
            text += plain
            if mark is None:
                break
            code, _, suggestion = mark.partition(">")
            line = text[text.rfind("\n") + 1 :].removeprefix("\ufeff")
            place = Place(file, code, text.count("\n") + 1, len(line) + 1)
            (self.labels if code == "label" else self.errors).append(place)
            if suggestion:
                self.suggestions[place] = suggestion
        return text


def _pieces(marked: str) -> list[tuple[str, str | None]]:
    parts = _MARK.split(marked)
    return [(parts[i], parts[i + 1] if i + 1 < len(parts) else None) for i in range(0, len(parts), 2)]


@dataclass(frozen=True)
class Marked:
    """A marked spec with the files beside it and the options of the command; `also` are places without a mark."""

    text: str
    files: Mapping[str, str] = field(default_factory=dict)
    overlays: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    unsets: tuple[str, ...] = ()
    local_code: bool = False
    also: tuple[tuple[str, str, int, int], ...] = ()


def check(case: Marked, folder: Path) -> None:
    """Asserts that exactly the marked mistakes are found, with their labels and suggestions."""
    marks = Marks(errors=[Place(*place) for place in case.also])
    for name, marked in {SPEC: case.text, **case.files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(marks.strip(name, marked).encode())
    overlays = [folder / name for name in case.overlays]
    options = {"sets": case.sets, "unsets": case.unsets, "overlays": overlays, "local_code": case.local_code}
    found = diagnose(resolve(folder / SPEC, **options))  # type: ignore[arg-type]
    told = "\n".join([case.text, *(f"{d.code} {d.message}" for d in found)])
    assert sorted(_place(d, folder) for d in found) == sorted(marks.errors), told
    for place, word in marks.suggestions.items():
        words = [s.replacement.strip('"') for d in found if _place(d, folder) == place for s in d.suggestions]
        assert word in words, f"{place} suggests {words}\n{told}"
    if marks.labels:
        labels = [_at(label.span, "label", folder) for d in found for label in d.labels]
        assert sorted(labels) == sorted(marks.labels), told


def _place(diagnostic: Diagnostic, folder: Path) -> Place:
    assert diagnostic.span is not None, diagnostic
    return _at(diagnostic.span, diagnostic.code, folder)


def _at(span: Span, code: str, folder: Path) -> Place:
    name = os.path.relpath(span.file, folder) if os.path.isabs(span.file) else span.file
    return Place(name, code, span.line, span.column)
