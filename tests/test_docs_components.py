"""Every example of docs/components.md is a component that passes the kit, and every line of its table is what a spec gets."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.registry.entry_points import Entry, installed
from prerl_spec.registry.local import local_entries
from prerl_spec.testing.conformance.check import check_entry
from tests.language.cases import BASE
from tests.registry.distributions import install

PAGE = (Path(__file__).parent.parent / "docs" / "components.md").read_text(encoding="utf-8")
NAMES = [
    *("likelihood", "above_median", "uncertain", "square", "root", "halved"),
    *("last_word", "asked_model", "brevity", "some_right", "vocabulary", "agreeing_halves", "squares", "politely"),
    *("tokens", "sgd", "lines", "judge", "imitate", "compressed", "weighed", "careful"),
]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Entry]:
    file = tmp_path_factory.mktemp("page") / "page.py"
    file.write_text("\n\n".join(blocks("python")), encoding="utf-8")
    return {e.name.removeprefix("local."): e for e in local_entries(file)}


def test_every_block_has_a_language_that_is_tried_here() -> None:
    assert PAGE.count("```") == 2 * (len(blocks("python")) + len(blocks("toml")))


@pytest.mark.parametrize("name", NAMES)
def test_each_example_passes_the_kit(entries: dict[str, Entry], name: str) -> None:
    assert list(entries) == NAMES
    findings = list(check_entry(entries[name]))
    assert [f for f in findings if f.state == "broken"] == []
    assert "laws" in {f.check for f in findings if f.state == "held"}


def test_no_example_is_longer_than_thirty_lines() -> None:
    for block in blocks("python"):
        for text in re.split(r"^(?=class )", block, flags=re.MULTILINE)[1:]:
            assert len(text.strip().splitlines()) <= 30, text.partition("(")[0]


def test_every_built_in_reward_and_filter_stands_in_its_table() -> None:
    for kind in ("reward", "filter"):
        (table,) = re.findall(rf"^\| {kind} \|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
        listed = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
        assert sorted(listed) == [e.name for e in installed().entries if e.is_own and e.kind == kind]


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "acme", {"filter:acme.careful": "acme:Careful"}, "\n\n".join(blocks("python")))
    yield
    sys.modules.pop("acme", None)


ROWS = re.findall(r"^\| `(\{ use = .*?\})` \| (.*?) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("said", "code"), ROWS)
def test_the_table_of_changes_is_what_a_spec_gets(acme: None, said: str, code: str) -> None:
    found = [
        d.code for d in resolve_text(BASE.replace("[model]", f"[[filters]]\n{inner(said)}\n\n[model]")).diagnostics
    ]
    assert found == ([] if code == "none" else [code])


def inner(table: str) -> str:
    """The settings of an inline table, one a line."""
    return "\n".join(part.strip() for part in table.strip("{} ").split(","))


def test_the_entry_point_is_one_that_is_found() -> None:
    assert len(ROWS) == 9
    (block,) = blocks("toml")
    ((group, lines),) = tomllib.loads(block)["project"]["entry-points"].items()
    assert group == "prerl_spec.filter"
    assert lines == {"acme.careful": "acme.filters:Careful"}
