"""Secrets that a spec writes as they are, in settings marked `Secret`: found (W0406), and masked wherever they would show."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.component_names import Declared
from prerl_spec.errors import Diagnostic, Span
from prerl_spec.language.document import Document, Scalar, Table, join_path, walk
from prerl_spec.registry.settings import settings_of

HINT = 'write `{key} = "${{secret:NAME}}"`, and set NAME in the environment'
SHORTEST = 4
"""Characters of a literal from which on it is masked wherever it occurs, not only where it is written: shorter ones are parts
of ordinary words."""
LONGEST_WORD = 12
"""Letters up to which a literal of lower-case letters alone is taken for a word."""

_INDEX = re.compile(r"\[\d+\]")
_QUOTES = re.compile(r"('''|\"\"\"|['\"]|)(.*?)\1", re.DOTALL)


@dataclass(frozen=True)
class SecretLiterals:
    """`places` are the literals' paths with the spans of their values, `spans` every range of source text that holds one
    (definitions behind references, and values that another layer overrides, included)."""

    places: Mapping[str, Span | None] = field(default_factory=dict)
    spans: frozenset[Span] = frozenset()
    values: frozenset[str] = field(default=frozenset(), repr=False)

    def __or__(self, other: "SecretLiterals") -> "SecretLiterals":
        return SecretLiterals(self.places, self.spans | other.spans, self.values | other.values)

    def diagnostics(self) -> Iterator[Diagnostic]:
        """W0406 at each value."""
        for path, span in self.places.items():
            key = path.rpartition(".")[2]
            message = f"`{_INDEX.sub('', key)}` is a secret, and is written as it is: it is masked, and no run takes it"
            yield Diagnostic(Code.EXPOSED_SECRET, message, span, path, help=HINT.format(key=_INDEX.sub("", key)))

    def masked(self, text: str) -> str:
        """The text with every literal of at least SHORTEST characters replaced by asterisks; one that is an ordinary word stays
        readable as a part of another: "tide" in `tidewater`, not in `tide_1`."""
        for value in sorted(self.values, key=len, reverse=True):
            if _is_word(value):
                text = re.sub(rf"(?<![A-Za-z0-9]){value}(?![A-Za-z0-9])", "*" * len(value), text)
            elif len(value) >= SHORTEST:
                text = text.replace(value, "*" * len(value))
        return text

    def masked_json(self, value: Any) -> Any:
        """A JSON value with `masked` applied to every string in it."""
        if isinstance(value, str):
            return self.masked(value)
        if isinstance(value, Mapping):
            return {key: self.masked_json(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.masked_json(inner) for inner in value]
        return value

    def masked_source(self, file: str, text: str) -> str:
        """A source text with its literals as asterisks, quotes and columns kept: still TOML of the same shape."""
        lines = text.split("\n")
        for span in self.spans:
            if span.file == file and 1 <= span.line <= span.end_line <= len(lines):
                _mask_span(lines, span)
        return self.masked("\n".join(lines))

    def masked_diagnostic(self, diagnostic: Diagnostic) -> Diagnostic:
        """The diagnostic, a quoted value masked."""
        return replace(
            diagnostic,
            message=self.masked(diagnostic.message),
            caret=self.masked(diagnostic.caret),
            help=None if diagnostic.help is None else self.masked(diagnostic.help),
            notes=tuple(map(self.masked, diagnostic.notes)),
        )


def secret_literals(root: Table, declared: Mapping[str, Declared], documents: Sequence[Document]) -> SecretLiterals:
    """The literals of a composed tree, and of the layers that it was composed from."""
    places, spans, values, settings = dict[str, Span | None](), set[Span](), set[str](), set[str]()
    for path, component in declared.items():
        for key, setting in settings_of(component.component).items():
            if not setting.is_secret:
                continue
            settings.add(_INDEX.sub("", join_path(path, key)))
            node = component.table.get(key)
            for where, value in () if node is None else walk(node, join_path(path, key)):
                if not isinstance(value, Scalar) or value.reference == "secret" or value.value in ("", None):
                    continue
                places[where] = value.span
                values.add(str(value.value))
                spans |= {span for span in (value.span, value.via) if span is not None}
    for document in documents if settings else ():
        for where, value in walk(document.root):
            under = any(_INDEX.sub("", where).startswith(setting) for setting in settings)
            if under and isinstance(value, Scalar) and value.span is not None and not _is_reference(value.value):
                spans.add(value.span)
                values.add(str(value.value))
    return SecretLiterals(places, frozenset(spans), frozenset(values))


def _is_word(value: str) -> bool:
    is_plain = value.isascii() and value.isalpha() and value.islower()
    return is_plain and SHORTEST <= len(value) <= LONGEST_WORD


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("${")


def _mask_span(lines: list[str], span: Span) -> None:
    """Replaces the characters of a value by asterisks, its quotes and line breaks kept."""
    first, last = span.line - 1, span.end_line - 1
    before, after = lines[first][: span.column - 1], lines[last][span.end_column - 1 :]
    inside = lines[first : last + 1]
    inside[-1] = inside[-1][: span.end_column - 1]
    inside[0] = inside[0][span.column - 1 :]
    written = "\n".join(inside)
    if "${secret:" in written:
        return
    quoted = _QUOTES.fullmatch(written)
    quote, body = (quoted[1], quoted[2]) if quoted else ("", written)
    masked = (before + quote + re.sub(r"[^\n]", "*", body) + quote + after).split("\n")
    lines[first : last + 1] = masked
