"""The schema for editors, judged by taplo, the checker behind TOML's editors: shipped specs pass, mistakes are marked."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from prerl_spec.cli.specs.explain import PAGES
from prerl_spec.compiler.render.schema import spec_schema
from prerl_spec.registry.component import Component
from prerl_spec.registry.entry_points import Entry, Registry, installed
from tests.compiler.specs import TINY, written
from tests.compiler.test_digest import OTHER, SAME

ROOT = Path(__file__).parents[2]
TAPLO = shutil.which("taplo", path=str(Path(sys.executable).parent)) or shutil.which("taplo")
needs_taplo = pytest.mark.skipif(TAPLO is None, reason="taplo is not installed: pip install taplo")


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("schema") / "spec.schema.json"
    file.write_text(json.dumps(spec_schema(installed())[0]), encoding="utf-8")
    return file


def marks(spec: Path, schema: Path) -> list[tuple[int, int]]:
    """Line and column of everything that taplo marks."""
    assert TAPLO is not None
    command = [TAPLO, "lint", "--colors", "never", "--no-auto-config", "--schema", schema.as_uri(), str(spec)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "invalid schema" not in done.stderr, done.stderr
    found = [(int(line), int(column)) for line, column in re.findall(r"┌─ .*:(\d+):(\d+)$", done.stderr, re.MULTILINE)]
    assert bool(found) == bool(done.returncode), done.stderr
    return found


def place(text: str, value: str) -> tuple[int, int]:
    """Line and column of a value that stands once in a text."""
    assert text.count(value) == 1, value
    before = text[: text.index(value)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


@needs_taplo
@pytest.mark.parametrize("spec", sorted((ROOT / "specs").glob("*.toml")), ids=lambda f: f.name)
def test_every_shipped_spec_passes(spec: Path, schema: Path) -> None:
    assert marks(spec, schema) == []


@needs_taplo
@pytest.mark.parametrize(
    ("good", "bad", "value"),
    [
        ('use = "marginal_nsr"', 'use = "marginal_nrs"', '"marginal_nrs"'),
        ('objective = "next_token"', 'objective = "next_tokens"', '"next_tokens"'),
        ('use = "exact_match"', 'use = "kl"', '"kl"'),
        ("group_size = 4", "group_size = 0", "0\nmax"),
        ("group_size = 4", 'group_size = "4"', '"4"'),
        ("group_size = 4", "grup_size = 44", "44"),
        ("lr = 1e-4", "lr = -1e-4", "-1e-4"),
        ("lr = 1e-4", 'lr = 1e-4\nlr_schedule = "sometimes"', '"sometimes"'),
        ("seed = 3", "seed = true", "true\noutput"),
        ('name = "tiny"', 'name = "Tiny Run"', '"Tiny Run"'),
        ("[checkpoint]\nevery = 10", '[checkpoint]\nevery = "off"', '"off"'),
        ('reference = "initial"', 'reference = "first"', '"first"'),
        ("spec = 1", "spec = 2", "2\nreference"),
        ("documents_per_step = 32", "documents_per_step = -32", "-32"),
        ('part = "easy"', 'part = "simple"', '"simple"'),
        ("coefficient = 0.01", 'coefficient = "off"', '"off"'),
    ],
)
def test_a_mistake_is_marked_at_its_value_and_nowhere_else(
    good: str, bad: str, value: str, schema: Path, tmp_path: Path
) -> None:
    whole = TINY.replace("spec = 1\n", 'spec = 1\nreference = "initial"\n')
    assert marks(written(tmp_path, whole), schema) == []
    assert whole.count(good) >= 1
    text = whole.replace(good, bad, 1)
    assert marks(written(tmp_path, text), schema) == [place(text, value)]


@needs_taplo
@pytest.mark.parametrize(
    ("lost", "at"),
    [('name = "tiny"\n', "[run]"), ("lr = 1e-4\n", "[optimizer]"), ('use = "exact_match"\n', "[verifier]")],
)
def test_what_is_missing_is_marked_at_its_table(lost: str, at: str, schema: Path, tmp_path: Path) -> None:
    text = TINY.replace(lost, "", 1)
    line, column = place(text, at)
    assert {(line, column), (line, column + 1)} & set(marks(written(tmp_path, text), schema))


@needs_taplo
@pytest.mark.parametrize(
    "text",
    [
        'extends = ["base.toml"]\n[[phases]]\nid = "prune"\nobjective.coefficient = 0.1\n',
        '[data.heldout]\nuse = "jsonl"\npath = "rows.jsonl"\nchat = { anything = [1, "a"] }\n',
        'spec = 1\nextends = ["base.toml"]\n[optimizer]\nlr = "${vars.lr}"\n[sampler]\nstop = "${vars.stop}"\n',
        '[sampler]\nuse = "transformers@1"\ntop_k = "${env:K:-0}"\n',
        '[verifier]\nuse = "local.my_judge"\nstrictness = 3\n',
        '[optimizer]\nuse = "adamw"\nfrom = "prerl-spec"\nlr = 1\n',
    ],
)
def test_parents_overlays_references_and_local_components_are_no_mistakes(
    text: str, schema: Path, tmp_path: Path
) -> None:
    assert marks(written(tmp_path, text), schema) == []


@needs_taplo
def test_no_good_spec_is_marked(schema: Path, tmp_path: Path) -> None:
    pages = [page.read_text(encoding="utf-8").partition("\n## Good\n")[2] for page in PAGES.glob("E0[2367]*.md")]
    shown = [block for page in pages for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)]
    installed_here = [text for text in shown if "acme." not in text]
    for number, text in enumerate([*installed_here, *SAME.values(), *OTHER.values()]):
        written(tmp_path, text, f"{number}.toml")
    assert number > 30
    assert marks(tmp_path / "*.toml", schema) == []


@needs_taplo
def test_a_reference_is_no_excuse_for_a_literal_dollar(schema: Path, tmp_path: Path) -> None:
    assert len(marks(written(tmp_path, '[optimizer]\nuse = "adamw"\nlr = "$${vars.lr}"\n'), schema)) == 1


class Fancy(Component):
    """An objective of somebody else."""

    kind = "objective"
    strength: float = Field(2.0, gt=0, description="how fancy")


def stranger(value: str) -> Registry:
    return Registry([*installed().entries, Entry("objective", "acme.fancy", value, "acme-prerl", "1.0")])


def test_an_installed_plugin_is_part_of_the_schema() -> None:
    schema, faults = spec_schema(stranger(f"{__name__}:Fancy"))
    assert not faults
    assert "acme.fancy" in schema["definitions"]["objective.name"]["else"]["enum"]
    setting = schema["definitions"]["objective.acme.fancy"]["properties"]["strength"]
    assert (setting["description"], setting["default"]) == ("how fancy", 2.0)


def test_a_plugin_that_cannot_be_imported_is_known_by_name_alone() -> None:
    schema, faults = spec_schema(stranger("no_such_module:Fancy"))
    assert [fault.code for fault in faults] == ["E0304"]
    assert "acme.fancy" in schema["definitions"]["objective.name"]["else"]["enum"]
    assert "objective.acme.fancy" not in schema["definitions"]


def test_every_table_is_closed_or_handed_on_and_nothing_is_a_one_of() -> None:
    schema, _ = spec_schema(installed())
    text = json.dumps(schema)
    assert '"oneOf"' not in text
    assert all(key in schema["definitions"] for key in re.findall(r'"#/definitions/([^"]+)"', text))
    for name, table in schema["definitions"].items():
        if "properties" in table and not name.startswith("whole."):
            assert table["additionalProperties"]["allOf"] == [False], name


def test_every_setting_of_every_component_says_what_it_is() -> None:
    def silent(properties: dict[str, Any]) -> list[str]:
        return [key for key, value in properties.items() if key != "use" and "description" not in value]

    schema, _ = spec_schema(installed())
    tables = {"": schema, **{k: d for k, d in schema["definitions"].items() if not k.startswith("whole.")}}
    assert {name: quiet for name, table in tables.items() if (quiet := silent(table.get("properties", {})))} == {}
