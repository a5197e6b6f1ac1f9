"""Each code's page shows what it says: the bad example gives the code, the good one is clean."""

import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prerl_spec.cli.specs.explain import PAGES
from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.resolve import resolve
from prerl_spec.compiler.rules.wire import diagnose

CONTRACT = [
    "E0101",
    "E0102",
    "E0103",
    "E0104",
    "E0105",
    "E0106",
    "E0107",
    "E0201",
    "E0202",
    "E0203",
    "E0204",
    "E0205",
    "E0206",
    "E0207",
    "E0208",
    "E0209",
    "E0210",
    "E0501",
    "E0502",
    "E0503",
    "E0301",
    "E0302",
    "E0303",
    "E0304",
    "E0305",
    "E0306",
    "E0307",
    "E0308",
    "E0309",
    "E0401",
    "E0402",
    "E0403",
    "E0404",
    "E0405",
    "E0406",
    "E0407",
    "E0408",
    "E0601",
    "E0602",
    "E0603",
    "E0604",
    "E0701",
    "W0302",
    "W0310",
    "W0406",
    "W0701",
    "W0702",
]
WITHOUT_A_SPEC = {"E0404", "E0501"}
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the import path, as a place to install small distributions; what it brought is forgotten again."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("acme"):
            del sys.modules[name]
    importlib.invalidate_caches()


def found_codes(page: str, part: str, folder: Path) -> list[str]:
    """Writes the files of one example and validates its spec as its command says."""
    example = page.partition(f"## {part}\n")[2].partition("\n## ")[0]
    options: list[str] = []
    spec = folder / "spec.toml"
    for language, name, body in FENCE.findall(example):
        if language == "sh":
            options = shlex.split(body)[3:]
            continue
        file = folder / (name or "spec.toml")
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(body.encode().replace(b"\\xe9", b"\xe9"))
        if file.name == "entry_points.txt":
            distribution = file.parent.name.removesuffix(".dist-info").replace("-", "\nVersion: ").replace("_", "-")
            (file.parent / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\n")
    sets = [value for option, value in zip(options, options[1:], strict=False) if option == "--set"]
    return [d.code for d in diagnose(resolve(spec, sets=sets))]


def test_every_code_of_the_language_has_a_page() -> None:
    assert sorted(CONTRACT) == sorted(Code) == sorted(page.stem for page in PAGES.iterdir())


@pytest.mark.parametrize("code", Code)
def test_a_page_is_headed_by_what_its_code_means(code: Code) -> None:
    head = (PAGES / code.page).read_text(encoding="utf-8").partition("\n")[0]
    assert head == f"# {code}: {code.meaning}"


@pytest.mark.parametrize("code", [c for c in CONTRACT if c not in WITHOUT_A_SPEC])
def test_the_bad_example_gives_its_code_once_and_nothing_else(code: str, folder: Path) -> None:
    page = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    assert found_codes(page, "Bad", folder) == [code]


@pytest.mark.parametrize("code", [c for c in CONTRACT if c not in WITHOUT_A_SPEC])
def test_the_good_example_is_clean(code: str, folder: Path) -> None:
    page = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    assert found_codes(page, "Good", folder) == []
