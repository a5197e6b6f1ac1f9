"""Whatever `run` refuses before its first step, `plan` names; `plan --here` ends as `run` does; nothing is left behind."""

from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from tests.refusals.table import ROWS, TABLE, Case, Refusal, link_model, tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path) -> Case:
    case = Case(tmp_path, monkeypatch)
    link_model(model, case.model)
    case.rows(*ROWS)
    return case


def said(case: Case, capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, str]:
    case.spec.write_text(case.text)
    code = main([*command, str(case.spec), *case.arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert "internal error" not in captured.err
    return code, " ".join((captured.out + captured.err).split())


def _files(folder: Path) -> set[Path]:
    """What lies in a folder, but for the bytecode that Python keeps beside a file that it imports, where it keeps any."""
    return {path for path in folder.rglob("*") if "__pycache__" not in path.relative_to(folder).parts}


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.what, marks=[pytest.mark.slow] * row.loads_a_model) for row in TABLE]
)
def test_plan_here_names_what_run_refuses_and_ends_as_it_does(
    row: Refusal, case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    row.bend(case)
    there = _files(case.folder) | {case.spec}
    planned, page = said(case, capsys, "plan", "--here")
    assert planned == row.code
    assert row.says in page
    assert "a run can start here" not in page
    ran, words = said(case, capsys, "run")
    assert ran == row.code
    assert row.says in words
    assert _files(case.folder) == there


def test_the_table_is_of_distinct_refusals() -> None:
    assert len({row.what for row in TABLE}) == len(TABLE) >= 25


def test_what_nothing_keeps_from_starting_is_said_to_start(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    code, page = said(case, capsys, "plan", "--here")
    assert code == 0
    assert page.endswith("a run can start here")
    assert not (case.folder / "runs").exists()
