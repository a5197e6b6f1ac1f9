"""Writes the tables of docs/coming-from.md from the words that errors are made of.

`python docs/write_coming_from.py` brings the page up to date; `tests/test_tooling.py` fails while it is not.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from prerl_spec.compiler.resolve.foreign.lookup import ALL
from prerl_spec.compiler.resolve.foreign.running import TABLES
from prerl_spec.compiler.resolve.foreign.values import BOUNDS, NAMES, VALUES
from prerl_spec.compiler.resolve.foreign.word import OPENRLHF, PRIME, TRL, VERL, ForeignWord
from prerl_spec.compiler.resolve.unknown_names import article

PAGE = Path(__file__).with_name("coming-from.md")
SECTION = re.compile(r"(<!-- written: words -->\n).*?(<!-- end -->)", re.DOTALL)
HOUSES = (TRL, VERL, PRIME, OPENRLHF)
OTHERS = "Other libraries"


def page(text: str) -> str:
    """The page with its tables written anew."""
    tables = "\n".join(_tables())
    return SECTION.sub(lambda found: f"{found[1]}\n{tables}\n\n{found[2]}", text)


def _tables() -> Iterator[str]:
    for house in HOUSES:
        yield f"## {house}\n"
        yield from _words([word for word in ALL if house in word.houses])
        tables = [f"`[{table.word}]`" for table in TABLES if house in table.houses]
        yield f"\nTables of {house} whose words are translated one by one: {', '.join(tables)}.\n" if tables else ""
    yield f"## {OTHERS}\n"
    yield from _words([word for word in ALL if not {*HOUSES} & {*word.houses}])
    yield "\n## Values\n"
    yield "| key | elsewhere | here | |"
    yield "|---|---|---|---|"
    for value in (*VALUES, *BOUNDS):
        theirs = f"`{value.value}` ({', '.join(value.houses)})"
        yield f"| `{value.key}` | {theirs} | `{value.ours}` | {value.note} |"
    for value in NAMES:
        theirs = f"`{value.value}` ({', '.join(value.houses)})"
        yield f"| `use` of {article(value.key)} | {theirs} | `{value.ours}` | {value.note} |"


def _words(words: list[ForeignWord]) -> Iterator[str]:
    yield "| word | here | |"
    yield "|---|---|---|"
    for word in words:
        ours = f"`{word.ours}` in {word.home.header}" if word.home is not None and word.ours else "–"
        yield f"| `{word.word}` | {ours} | {word.note} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
