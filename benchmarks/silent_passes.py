"""How many spec mistakes go undetected by prerl-spec, by strict pydantic models over tomllib, and by confection.

    python -m benchmarks.silent_passes [--every N] [--seed S]

All tools get the same mutants of the shipped specs: every one-character typo of a key, a `use` value and a closed choice
(as in the tests); each setting with a value of another type; each setting moved into another table; each line duplicated.
A mutant passes silently if it is not rejected. The summary shows the share of rejections that name the place: by line and
column of the mutated word for prerl-spec; by the line number, and by name or path, for the others.
`pip install confection` adds its column; without it the column is omitted with a message. `--every N` uses every Nth mutant.
"""

import argparse
import copy
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from benchmarks.rivals import (
    closed_component,
    confection_config,
    confection_judge,
    holder_in_config,
    open_component,
    pydantic_model,
    twice_in_config,
)
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Span
from prerl_spec.language.document import Array, Scalar, Table, join_path, plain
from prerl_spec.registry.settings import Setting, settings_of
from tests.language.mutations import typos, words

ROOT = Path(__file__).parents[1]
Kind = Literal["key typo", "use typo", "choice typo", "wrong type", "wrong table", "written twice"]


@dataclass(frozen=True)
class Mutant:
    """A spec with one mistake: its text, the place, and the same change for a confection config."""

    kind: Kind
    text: str
    line: int
    column: int
    word: str
    path: str
    change: Any
    """The replacement: a key, a value, or the table that the setting was moved to."""


def mutants(text: str, resolved: Resolved, chance: random.Random) -> Iterator[Mutant]:
    """Every mutant of a spec."""
    for word in words(resolved):
        for typo in sorted(typos(word, chance)):
            kind: Kind = {"key": "key typo", "use": "use typo", "choice": "choice typo"}[word.role]  # type: ignore[assignment]
            old = _at(text, word.span)
            yield _replaced(kind, text, word.span, old.replace(word.text, typo), typo, word.path, typo)
    for path, setting, span, value in _settings(resolved):
        other = _other_type(setting, value)
        if other is not None:
            yield _replaced("wrong type", text, span, other[0], setting.key, path, other[1])
    yield from _moved(text, resolved)
    for path, setting, span, _ in _settings(resolved):
        lines = text.split("\n")
        if re.match(rf"\s*{setting.key}\s*=", lines[span.line - 1]):
            lines.insert(span.line, lines[span.line - 1])
            yield Mutant("written twice", "\n".join(lines), span.line + 1, 1, setting.key, path, None)


def _settings(resolved: Resolved) -> Iterator[tuple[str, Setting, Span, Any]]:
    """Path, setting, place and value of every non-slot setting of a component that has a literal value."""
    for path, built in resolved.built.items():
        table = resolved.node(path)
        for key, entry in table.entries.items() if isinstance(table, Table) else ():
            setting = settings_of(type(built.component)).get(key)
            if setting is not None and setting.slot is None and isinstance(entry.value, Scalar | Array):
                assert entry.value.span is not None, "values of a shipped spec have source spans"
                yield join_path(path, key), setting, entry.value.span, plain(entry.value)


def _other_type(setting: Setting, value: Any) -> tuple[str, Any] | None:
    """A value of another type, as TOML and as a Python value; None if the setting accepts every type."""
    if isinstance(value, str):
        return None if setting.takes_number else ("7", 7)
    return None if setting.takes_text else ('"7"', "7")


def _replaced(kind: Kind, text: str, span: Span, new: str, word: str, path: str, change: Any) -> Mutant:
    lines = text.split("\n")
    line = lines[span.line - 1]
    assert span.end_line == span.line, "no value in a shipped spec spans several lines"
    lines[span.line - 1] = line[: span.column - 1] + new + line[span.end_column - 1 :]
    return Mutant(kind, "\n".join(lines), span.line, span.column, word, path, change)


def _at(text: str, span: Span) -> str:
    return text.split("\n")[span.line - 1][span.column - 1 : span.end_column - 1]


def _moved(text: str, resolved: Resolved) -> Iterator[Mutant]:
    """Each setting on its own line, moved below the header of the next component that does not have it."""
    tables = [(p, b, n) for p, b in resolved.built.items() if isinstance(n := resolved.node(p), Table) and n.header]
    for path, setting, span, _ in _settings(resolved):
        lines = text.split("\n")
        if not re.match(rf"\s*{setting.key}\s*=", lines[span.line - 1]):
            continue
        for other, built, node in tables:
            if setting.key in settings_of(type(built.component)) or path.startswith(f"{other}."):
                continue
            assert node.header is not None, "only tables with a header are listed"
            moved = lines.pop(span.line - 1)
            below = node.header.line - (node.header.line > span.line)
            lines.insert(below, moved)
            yield Mutant("wrong table", "\n".join(lines), below + 1, 1, setting.key, path, other)
            break


def in_config(mutant: Mutant, config: dict[str, Any]) -> dict[str, Any] | str:
    """The same mistake in a confection config, or in its text."""
    if mutant.kind == "written twice":
        return twice_in_config(config, mutant.word)
    changed = copy.deepcopy(config)
    holder, key = holder_in_config(changed, mutant.path)
    if mutant.kind == "wrong table":
        into, name = holder_in_config(changed, mutant.change)
        into[name][key] = holder.pop(key)
    elif mutant.kind == "key typo":
        assert isinstance(holder, dict), "keys belong to tables"
        # The counterpart of a mistyped `use` is a mistyped registry behind the `@`.
        new = f"@{key[2:]}" if key.startswith("@") else mutant.change
        pairs = [(new if k == key else k, v) for k, v in holder.items()]
        holder.clear()
        holder.update(pairs)
    elif isinstance(holder[key], dict) and mutant.kind == "use typo":
        holder[key][next(k for k in holder[key] if k.startswith("@"))] = mutant.change
    else:
        holder[key] = mutant.change
    return changed


def prerl_judge(mutant: Mutant) -> tuple[bool, bool]:
    """Whether the mutant is rejected, and whether a diagnostic points exactly at the mutated word."""
    found = [d for d in diagnose(resolve_text(mutant.text, "mutant.toml")) if d.severity == "error"]
    places = {(d.span.line, d.span.column) for d in found if d.span is not None}
    return bool(found), (mutant.line, mutant.column) in places


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    judges = {"pydantic, open": pydantic_model(open_component), "pydantic, closed": pydantic_model(closed_component)}
    try:
        confection = confection_judge()
    except ImportError:
        confection = None
        print("confection is not installed (`pip install confection`): its column is omitted", file=sys.stderr)
    counts: Counter[tuple[str, str, str]] = Counter()

    def count(name: str, mutant: Mutant, refusal: str | None) -> None:
        counts[name, mutant.kind, "all"] += 1
        counts[name, mutant.kind, "silent"] += refusal is None
        counts[name, mutant.kind, "line"] += bool(refusal and re.search(rf"line {mutant.line}\b", refusal))
        counts[name, mutant.kind, "name"] += bool(
            refusal and re.search(rf"(?<!\w){re.escape(mutant.word)}(?!\w)", refusal)
        )

    for spec in sorted((ROOT / "specs").glob("*.toml")):
        text = spec.read_text(encoding="utf-8")
        resolved = resolve_text(text, spec.name)
        config = confection_config(resolved)
        for name, judge in judges.items():
            assert judge(text) is None, f"{name} rejects the unmodified {spec.name}: {judge(text)}"
        assert confection is None or confection(config) is None, f"confection rejects {spec.name}: {confection(config)}"
        everything = list(mutants(text, resolved, random.Random(f"{arguments.seed} {spec.stem}")))
        for mutant in everything[:: arguments.every]:
            refused, exact = prerl_judge(mutant)
            counts["prerl-spec", mutant.kind, "all"] += 1
            counts["prerl-spec", mutant.kind, "silent"] += not refused
            counts["prerl-spec", mutant.kind, "line"] += exact
            for name, judge in judges.items():
                count(name, mutant, judge(mutant.text))
            if confection is not None:
                count("confection", mutant, confection(in_config(mutant, config)))
    report(counts, ["prerl-spec", *judges, *(["confection"] if confection else [])])
    return 0


def report(counts: Counter[tuple[str, str, str]], names: list[str]) -> None:
    """Prints one line per kind of mistake and one column per tool: silent passes, then rejections that name the place."""
    kinds = [k for k in get_args(Kind) if counts["prerl-spec", k, "all"]]
    print(f"{'silent passes':<16} {'mutants':>8}" + "".join(f"{n:>18}" for n in names))
    for kind in [*kinds, "all"]:
        row = f"{kind:<16} {_sum(counts, 'prerl-spec', kind, 'all', kinds):>8}"
        for name in names:
            total = _sum(counts, name, kind, "all", kinds)
            row += f"{_sum(counts, name, kind, 'silent', kinds) / total:>18.2%}" if total else f"{'-':>18}"
        print(row)
    print()
    for name in names:
        refused = _sum(counts, name, "all", "all", kinds) - _sum(counts, name, "all", "silent", kinds)
        by_line, by_name = (_sum(counts, name, "all", what, kinds) for what in ("line", "name"))
        words = "at line and column" if name == "prerl-spec" else "with the line number"
        named = "" if name == "prerl-spec" else f", {by_name / refused:.1%} with the word or its path"
        print(f"{name}: of {refused} rejections {by_line / refused:.1%} {words}{named}")


def _sum(counts: Counter[tuple[str, str, str]], name: str, kind: str, what: str, kinds: list[str]) -> int:
    return sum(counts[name, k, what] for k in (kinds if kind == "all" else [kind]))


if __name__ == "__main__":
    raise SystemExit(main())
