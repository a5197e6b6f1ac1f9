"""`--format json`: one spelling for the commands that print results; what each printed before, it still does."""

import json
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.cli.main import main
from tests.compiler.specs import TINY, bent, written


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    """The exit code and the JSON value of a command's stdout."""

    def run(*arguments: object) -> tuple[int, Any]:
        capsys.readouterr()
        code = main([*map(str, arguments)])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_components_are_listed_and_shown(printed: Any) -> None:
    assert printed("components", "list", "--format", "json") == printed("components", "list", "--json")
    code, (grpo,) = printed("components", "show", "grpo", "--format", "json")
    assert (code, grpo["kind"], grpo["distribution"]) == (0, "objective", "prerl-spec")
    settings = {setting["name"]: setting for setting in grpo["settings"]}
    assert (settings["clip_low"]["default"], settings["clip_low"]["required"]) == (0.2, False)
    assert settings["clip_low"]["description"]


def test_a_spec_is_shown(printed: Any, tmp_path: Path) -> None:
    spec = written(tmp_path, TINY)
    assert printed("show", spec, "--graph", "--format", "json") == printed("show", spec, "--graph=json")
    _, whole = printed("show", spec, "--resolved", "--format", "json")
    assert (whole["run"]["seed"], whole["phases"][0]["id"]) == (3, "pretrain")
    _, origins = printed("show", spec, "--origins", "--format", "json")
    (seed,) = [found for found in origins if found["path"] == "run.seed"]
    assert (seed["value"], seed["place"].rpartition(":")[0]) == (3, str(spec))


def test_a_plan_is_printed_as_it_is_written(printed: Any, tmp_path: Path) -> None:
    spec, out = written(tmp_path, TINY), tmp_path / "plan.json"
    assert printed("plan", spec, "--out", out, "--format", "json") == (0, json.loads(out.read_text(encoding="utf-8")))


def test_a_difference_has_both_values_and_both_places(printed: Any, tmp_path: Path) -> None:
    first = written(tmp_path, TINY, "a.toml")
    second = written(tmp_path, bent(("seed = 3\n", "")), "b.toml")
    assert printed("diff", first, first, "--format", "json") == (0, {"same": True, "differences": []})
    code, found = printed("diff", first, second, "--format", "json")
    assert (code, found["same"]) == (1, False)
    (seed,) = found["differences"]
    assert (seed["path"], seed["before"], seed["after"], seed["after_place"]) == ("run.seed", 3, 0, "default")


def test_a_code_and_a_lock_and_a_machine_are_told(printed: Any, tmp_path: Path) -> None:
    _, page = printed("explain", "E0301", "--format", "json")
    assert (page["code"], page["exit_code"]) == ("E0301", 1)
    assert page["page"].startswith("# E0301")
    spec = written(tmp_path, TINY)
    assert main(["lock", str(spec)]) == 0
    _, lock = printed("lock", spec, "--check", "--format", "json")
    assert (lock["drifted"], len(lock["digest"])) == (False, 64)
    _, findings = printed("doctor", "--format", "json")
    assert all(finding["ok"] is (finding["help"] is None) for finding in findings)
