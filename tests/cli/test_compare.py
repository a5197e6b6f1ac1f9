"""`prerl-spec compare`: exit codes, forms, the page."""

import json
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from tests.comparison.runs import Made, write_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("models")
    return [str(write_model(root / name, Made(arm=arm))) for name, arm in (("one", 1.0), ("two", 2.0))]


def test_it_prints_every_form_and_writes_the_page(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert main(["compare", *models, "--out", str(page)]) == 0
    assert "one · two: against one" in capsys.readouterr().out
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert main(["compare", *models, "--format", "json", "--baseline", "two", "--task", "easy/pass@2"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert (read["baseline"], [table["metric"] for table in read["tables"]]) == ("two", ["pass@2"])
    for form, begins in (("markdown", "| task |"), ("latex", "% \\usepackage{booktabs}")):
        assert main(["compare", *models, "--format", form]) == 0
        assert capsys.readouterr().out.startswith(begins)


def test_what_cannot_be_compared_ends_with_2_and_damage_with_5(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    other = write_model(tmp_path / "other", Made(arm=3.0, conditions={"template_hash": "ef56" * 16}))
    for words in (
        [models[0]],
        [models[0], models[0]],
        [models[0], str(tmp_path / "empty")],
        [models[0], str(tmp_path / "gone")],
        [models[0], str(other)],
        [*models, "--baseline", "three"],
        [*models, "--task", "easy/pass@5"],
        [*models, "--out", f"{models[0]}/scores.json/page.html"],
        [*models, "--out", f"{models[0]}/table.txt"],
    ):
        assert main(["compare", *words]) == 2, words
        assert "internal error" not in capsys.readouterr().err
    scores = other / "scores.json"
    scores.write_bytes(scores.read_bytes().replace(b'"easy"', b'"eass"', 1))
    assert main(["compare", models[0], str(other)]) == 5
    assert "scores.json" in capsys.readouterr().err
