"""`new` writes the shipped specs as they stand, and nothing over anything."""

import tomllib
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.cli.specs.new import CHECKED_OUT, PACKAGED, templates

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(templates()))
def test_a_new_spec_is_a_shipped_one_and_validates(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    assert main(["new", str(file), "--template", name]) == 0
    assert file.read_bytes() == (ROOT / "specs" / f"{name}.toml").read_bytes()
    assert main(["validate", str(file)]) == 0


def test_every_shipped_spec_is_a_template() -> None:
    assert set(templates()) == {file.stem for file in (ROOT / "specs").glob("*.toml")}


def test_the_wheel_puts_the_specs_where_they_are_read() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert {ROOT / k: ROOT / v for k, v in wheel["wheel"]["force-include"].items()} == {CHECKED_OUT: PACKAGED}
    assert not PACKAGED.exists(), "a copy in the checkout would be a second source of the same specs"


def test_without_a_template_their_names_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(tmp_path / "mine.toml")]) == 2
    assert "help: --template NAME, one of: dapo, dsrl-qwen3-4b, " in capsys.readouterr().err
    assert not (tmp_path / "mine.toml").exists()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("mine")
    assert main(["new", str(file), "--template", "smoke"]) == 2
    assert "left unchanged" in capsys.readouterr().err
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("file", "name", "said"),
    [
        ("a.toml", "smok", "did you mean `smoke`?"),
        ("a.toml", "zzz", "choose from: "),
        ("no/such/folder/a.toml", "smoke", "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_a_usage_error(
    file: str, name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", str(tmp_path / file), "--template", name]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / file).exists()
