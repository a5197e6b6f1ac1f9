"""plan, show, components and doctor as they are called: exit codes, streams, and what they must not import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from tests.compiler.specs import TINY, bent, written

HEAVY = ("torch", "transformers", "vllm", "datasets", "lm_eval", "accelerate")
BLOCKED = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise AssertionError(f"{{name}} was imported")
sys.meta_path.insert(0, Blocker())
from prerl_spec.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "command",
    [
        ("validate",),
        ("plan", "--here"),
        ("show", "--graph"),
        ("show", "--resolved"),
        ("components", "list"),
        ("components", "show", "grpo"),
        ("doctor",),
    ],
)
def test_nothing_heavy_is_imported(command: tuple[str, ...], tmp_path: Path) -> None:
    spec = [str(written(tmp_path, TINY))] if command[0] in ("validate", "plan", "show") else []
    done = subprocess.run([sys.executable, "-c", BLOCKED, *command, *spec], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize(
    ("command", "text", "code"),
    [
        (("plan",), TINY, 0),
        (("plan", "--here"), TINY, 0),
        (("plan",), bent(('use = "transformers"', 'use = "vllm"')), 0),
        (("plan", "--here"), bent(('use = "transformers"', 'use = "vllm"')), 3),
        (("plan",), bent(("group_size = 4", "group_size = 0")), 1),
        (("plan",), "spec = ", 1),
        (("show", "--graph=json"), TINY, 0),
        (("show", "--graph"), bent(('data = "easy"', 'data = "hard"')), 1),
        (("show", "--origins"), TINY, 0),
    ],
)
def test_exit_codes_of_commands_on_a_spec(
    command: tuple[str, ...], text: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *options = command
    assert main([name, str(written(tmp_path, text)), *options]) == code
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert bool(said.err) is (code != 0)


@pytest.mark.parametrize(
    ("options", "code"), [(["--graph"], 0), (["--graph=dot"], 2), (["--graph", "json"], 0), ([], 2)]
)
def test_show_takes_the_form_of_the_graph_before_or_after_the_spec(
    options: list[str], code: int, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prerl_spec", "show", *options, str(written(tmp_path, TINY))],
        capture_output=True,
        check=False,
    )
    assert done.returncode == code


@pytest.mark.parametrize("form", ["--resolved", "--origins"])
def test_show_masks_what_looks_like_a_secret_but_no_commit(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token, commit = "hf_" + "a1" * 12, "0123456789" * 4
    model = f'[model]\nuse = "hf_causal"\nname = "{token}"\nrevision = "{commit}"\n'
    spec = f'spec = 1\nrun.name = "shown"\n{model}[[evaluate]]\nuse = "lm_eval"\ntasks = ["{commit}"]\n'
    assert main(["show", str(written(tmp_path, spec)), form]) == 0
    said = capsys.readouterr()
    assert token not in said.out + said.err
    assert said.out.count(commit) == 1


@pytest.mark.parametrize("name", ["plan", "show"])
def test_a_spec_that_is_not_there_or_a_folder_is_a_usage_error(name: str, tmp_path: Path) -> None:
    options = ["--graph"] if name == "show" else []
    assert main([name, str(tmp_path / "absent.toml"), *options]) == 2
    assert main([name, str(tmp_path), *options]) == 2


def test_plan_writes_what_the_digest_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plan.json"
    assert main(["plan", str(written(tmp_path, TINY)), "--out", str(out)]) == 0
    digest = json.loads(out.read_text())["digest"]
    assert digest[:12] in capsys.readouterr().out
    assert main(["plan", str(tmp_path / "spec.toml"), "--out", str(tmp_path / "no" / "folder.json")]) == 2


def test_plan_tells_what_changed_against_the_plan_that_it_replaces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, out = str(written(tmp_path, TINY)), tmp_path / "plan.json"
    main(["plan", spec, "--out", str(out)])
    capsys.readouterr()
    main(["plan", spec, "--out", str(out)])
    assert f"same meaning as {out}" in capsys.readouterr().out
    main(["plan", spec, "--out", str(out), "--set", "phases.refine.schedule.steps=99"])
    assert "phases.refine.schedule.steps  7  ->  99" in capsys.readouterr().out
    out.write_text("my diary")
    assert main(["plan", spec, "--out", str(out)]) == 2
    assert out.read_text() == "my diary"


def test_an_override_is_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(written(tmp_path, TINY)), "--set", "phases.refine.schedule.steps=99"]) == 0
    assert "phase 3 of 3: refine, 99 steps" in capsys.readouterr().out


def test_warnings_go_to_stderr_and_results_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = bent(("coefficient = 0.01", "clip_low = 0.1"))
    assert main(["show", str(written(tmp_path, text)), "--graph=json"]) == 0
    said = capsys.readouterr()
    assert "W0702" in said.err
    assert {"nodes", "edges"} == json.loads(said.out).keys()


def test_a_mistake_on_the_command_line_is_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(written(tmp_path, TINY)), "--set", "run.sed=1"]) == 1
    assert "1 | run.sed=1\n  |     ^^^" in capsys.readouterr().err


def test_components_are_listed_by_kind_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components", "list", "--kind", "optimizer", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} >= {"adamw", "muon"}


def test_a_component_shows_its_settings_ports_and_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components", "show", "vllm"]) == 0
    shown = capsys.readouterr().out
    assert "group_size         integer >= 1" in shown
    assert "provides  attempts, logprobs[sampling]" in shown
    assert "needs     package vllm" in shown


def test_a_name_of_several_kinds_is_shown_once_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components", "show", "entropy"]) == 0
    heads = [line.split(" of ")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("entropy: ")]
    assert heads == ["entropy: objective", "entropy: probe"]
    assert main(["components", "show", "entropy", "--kind", "probe"]) == 0
    assert capsys.readouterr().out.count("entropy: ") == 1


def test_an_unknown_component_is_a_usage_error_with_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components", "show", "gpro"]) == 2
    assert "did you mean `grpo`?" in capsys.readouterr().err


def test_doctor_names_what_closes_each_gap(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "pydantic" in shown
    for row, after in zip(shown.split("\n"), [*shown.split("\n")[1:], ""], strict=True):
        assert not row.startswith("-- ") or "= help: " in after
