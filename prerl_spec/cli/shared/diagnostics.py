"""Renders diagnostics as text with carets, as JSON, and as GitHub annotations."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from prerl_spec.errors import Diagnostic, Span, SpecInvalid
from prerl_spec.known_secrets import without_secrets
from prerl_spec.language.secrets import masked, masked_line, without_tokens

MOST_SHOWN = 50
FORMAT_VERSION = 1
_COLORS = {"error": "\033[1;31m", "warning": "\033[1;33m", "place": "\033[1;34m", "bold": "\033[1m"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def print_text(diagnostics: Sequence[Diagnostic], sources: Mapping[str, str], stream: TextIO | None = None) -> None:
    """Writes diagnostics as text to `stream` (stderr): in colour on a terminal, unless NO_COLOR is set."""
    stream = sys.stderr if stream is None else stream
    color = stream.isatty() and not os.environ.get("NO_COLOR")
    _write(stream, as_text(diagnostics, sources, color=color))


def print_invalid(error: SpecInvalid, stream: TextIO | None = None) -> None:
    """Prints the diagnostics of an invalid spec."""
    print_text(error.diagnostics, error.sources, stream)


def as_text(diagnostics: Sequence[Diagnostic], sources: Mapping[str, str], *, color: bool = False) -> str:
    """The first 50 diagnostics as blocks, then the number left out."""
    lines = _Lines(sources)
    blocks = [_block(d, lines, color) for d in diagnostics[:MOST_SHOWN]]
    if len(diagnostics) > MOST_SHOWN:
        blocks.append(f"... and {len(diagnostics) - MOST_SHOWN} more\n")
    return "\n".join(blocks)


def as_json(diagnostics: Sequence[Diagnostic], *, unread: Sequence[str] = ()) -> str:
    """One JSON object for all files of a command. `unread` says of each file that could not be read why; it is a key of the
    object only if there is one."""
    errors = sum(d.severity == "error" for d in diagnostics)
    document: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "valid": errors == 0 and not unread,
        "error_count": errors,
        "warning_count": len(diagnostics) - errors,
        "diagnostics": [_record(d) for d in diagnostics],
    }
    if unread:
        document["unread"] = list(unread)
    return json.dumps(document, indent=2)


def as_github(diagnostics: Sequence[Diagnostic]) -> str:
    """One GitHub workflow command per diagnostic."""
    return "".join(_annotation(d) + "\n" for d in diagnostics)


def print_results(text: str) -> None:
    """Prints results to stdout, access tokens and passwords of URLs masked; characters that its encoding lacks are escaped."""
    text = without_secrets(without_tokens(text))
    _write(sys.stdout, text if text.endswith("\n") or not text else text + "\n")


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


class _Lines:
    """Source lines by file and number, secrets masked; files missing from `sources` are read from disk."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._lines = {file: text.split("\n") for file, text in sources.items()}

    def of(self, file: str, line: int) -> str | None:
        if file not in self._lines:
            try:
                text = Path(file).read_bytes().decode("utf-8", "replace")
            except (OSError, ValueError):
                text = ""
            self._lines[file] = text.removeprefix("\ufeff").split("\n")
        lines = self._lines[file]
        if not 1 <= line <= len(lines):
            return None
        return _CONTROL.sub("?", masked_line(lines[line - 1].removesuffix("\r")))


def _block(diagnostic: Diagnostic, lines: _Lines, color: bool) -> str:
    paint = _COLORS if color else dict.fromkeys(_COLORS, "")
    reset = "\033[0m" if color else ""
    head = f"{paint[diagnostic.severity]}{diagnostic.severity}[{diagnostic.code}]{reset}"
    out = [f"{head}: {paint['bold']}{masked(diagnostic.message)}{reset}"]
    span = diagnostic.span
    places = [(label.span, label.text, "-") for label in diagnostic.labels]
    if span is not None:
        places.append((span, diagnostic.caret, "^"))
    width = max((len(str(s.line)) for s, _, _ in places), default=1)
    bar = f"{paint['place']}{' ' * width} |{reset}"
    if span is not None:
        out.append(f"{' ' * width}{paint['place']}-->{reset} {span.file}:{span.line}:{span.column}")
        out.append(bar)
        out += _quoted(span.file, [p for p in places if p[0].file == span.file], lines, width, paint, reset)
        for other in dict.fromkeys(s.file for s, _, _ in places if s.file != span.file):
            first = min(s for s, _, _ in places if s.file == other)
            out.append(f"{' ' * width}{paint['place']}:::{reset} {other}:{first.line}:{first.column}")
            out.append(bar)
            out += _quoted(other, [p for p in places if p[0].file == other], lines, width, paint, reset)
    elif diagnostic.caret:
        out.append(f"{' ' * width} = note: {masked(diagnostic.caret)}")
    equals = f"{' ' * width} {paint['place']}={reset}"
    if diagnostic.help:
        out.append(f"{equals} help: {masked(diagnostic.help)}")
    out += [f"{equals} note: {masked(note)}" for note in diagnostic.notes]
    return "\n".join(out) + "\n"


def _quoted(
    file: str,
    places: list[tuple[Span, str, str]],
    lines: _Lines,
    width: int,
    paint: Mapping[str, str],
    reset: str,
) -> list[str]:
    """Source lines in order, each followed by its marks."""
    out: list[str] = []
    last = None
    for number in sorted({s.line for s, _, _ in places}):
        text = lines.of(file, number)
        if text is None:
            continue
        if last is not None and number > last + 1:
            out.append("...")
        last = number
        out.append(f"{paint['place']}{number:>{width}} |{reset} {text}")
        for span, words, mark in sorted(p for p in places if p[0].line == number):
            end = span.end_column if span.end_line == span.line else len(text) + 1
            lead = "".join("\t" if c == "\t" else " " for c in text[: span.column - 1]).ljust(span.column - 1)
            under = mark * max(1, end - span.column)
            shade = paint["error" if mark == "^" else "place"]
            text_of_mark = f" {masked(words)}" if words else ""
            out.append(f"{paint['place']}{' ' * width} |{reset} {lead}{shade}{under}{text_of_mark}{reset}")
    return out


def _record(diagnostic: Diagnostic) -> dict[str, Any]:
    """JSON has no carets, so the caret text becomes a note, unless a suggestion repeats it."""
    span = diagnostic.span
    repeated = ("", *(suggestion.message for suggestion in diagnostic.suggestions))
    under_carets = [diagnostic.caret] if diagnostic.caret not in repeated else []
    return {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": masked(diagnostic.message),
        "path": diagnostic.path,
        "file": span.file if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "end_line": span.end_line if span else None,
        "end_column": span.end_column if span else None,
        "labels": [
            {"file": x.span.file, "line": x.span.line, "column": x.span.column, "text": masked(x.text)}
            for x in diagnostic.labels
        ],
        "help": masked(diagnostic.help) if diagnostic.help else None,
        "notes": [masked(note) for note in (*under_carets, *diagnostic.notes)],
        "suggestions": [
            {"message": masked(s.message), "replacement": masked(s.replacement)} for s in diagnostic.suggestions
        ],
    }


def _annotation(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    fields = [f"title={_property(diagnostic.code)}"]
    if span is not None:
        fields = [
            f"file={_property(span.file)}",
            f"line={span.line}",
            f"col={span.column}",
            f"endLine={span.end_line}",
            f"endColumn={span.end_column}",
            *fields,
        ]
    words = masked(diagnostic.message)
    if diagnostic.caret or diagnostic.help:
        words += f": {masked(diagnostic.caret or diagnostic.help or '')}"
    return f"::{diagnostic.severity} {','.join(fields)}::{_data(words)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
