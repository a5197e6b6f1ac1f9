"""What must be quick, or must work where torch is not installed, imports nothing heavy on the way."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement as Specifier

from prerl_spec.cli.shared.locked import compile_locked
from prerl_spec.compiler.compare.lock import lock_file
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.past_runs.run_folder import hold_run_folder
from prerl_spec.engine.record.run_inputs import write_given
from tests.compiler.specs import TINY, bent, written

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TRAIN = {Specifier(line).name for line in PROJECT["optional-dependencies"]["train"]}
MODULES = {"antlr4", "latex2sympy2_extended", *(name.replace("-", "_") for name in TRAIN)}
INSTALL = "pip install 'prerl-spec[train]'"

WITHOUT_TRAIN = f"""
import sys
from importlib import metadata

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {MODULES!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

def distribution(name, known=metadata.distribution):
    if name in {TRAIN!r}:
        raise metadata.PackageNotFoundError(name)
    return known(name)

sys.meta_path.insert(0, Absent())
metadata.distribution = distribution
"""
"""The command line as it is where the extra [train] was not installed; `.ci/light` calls it where that is so."""

POSIX_ONLY = ("fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty")
WITHOUT_POSIX = f"""
import builtins, sys

def imported(name, globals=None, *rest, known=builtins.__import__, **named):
    if name in {POSIX_ONLY!r} and str((globals or {{}}).get("__name__")).startswith("prerl_"):
        raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
    return known(name, globals, *rest, **named)

builtins.__import__ = imported
"""
"""The command line where only POSIX's modules are missing from what prerl-spec itself imports, as on Windows."""


EACH = """
import contextlib, io, json
from prerl_spec.cli.main import main

def ended(words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code or 0
    return [code, out.getvalue(), err.getvalue()]

print(json.dumps([ended(words) for words in json.loads(sys.argv[1])]))
"""


class Ended(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def each_called(setting: str, lines: Sequence[Sequence[str]], folder: Path) -> list[Ended]:
    """Every command line in turn, in one interpreter with these modules missing: starting one takes longer than a line."""
    done = subprocess.run(
        [sys.executable, "-c", setting + EACH, json.dumps(lines)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return [Ended(*found) for found in json.loads(done.stdout)]


def called(setting: str, words: Sequence[str], folder: Path) -> Ended:
    return each_called(setting, [words], folder)[0]


HEAVY = ("torch", "transformers", "vllm", "datasets", "lm_eval", "accelerate")
BLOCKED = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise AssertionError(f"{{name}} was imported")
sys.meta_path.insert(0, Blocker())
"""
IMPORT_NOTHING_HEAVY = (
    ["validate", "spec.toml"],
    ["plan", "--here", "spec.toml"],
    ["show", "--graph", "spec.toml"],
    ["show", "--resolved", "spec.toml"],
    ["components", "list"],
    ["components", "show", "grpo"],
    ["doctor"],
    ["schema"],
    ["lock", "spec.toml"],
    ["lock", "--check", "spec.toml"],
    ["diff", "spec.toml", "spec.toml"],
    ["new", "mine.toml", "--template", "smoke"],
    ["fetch", "spec.toml"],
)


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    written(tmp_path, TINY)
    for words, done in zip(IMPORT_NOTHING_HEAVY, each_called(BLOCKED, IMPORT_NOTHING_HEAVY, tmp_path), strict=True):
        assert done.returncode == 0, (words, done.stderr)
        assert done.stdout, words


@pytest.mark.parametrize(
    ("command", "kept_out"),
    [
        (["components", "list"], {"pydantic", "prerl_components", "packaging"}),
        (["explain", "E0301"], {"pydantic", "prerl_components", "prerl_spec.registry", "importlib.metadata"}),
        (["new", "--help"], {"pydantic", "prerl_components", "prerl_spec.registry"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_only_reads_names_and_pages_loads_no_settings_models(command: list[str], kept_out: set[str]) -> None:
    code = (
        "import sys; from prerl_spec.cli.main import main\n"
        "try: main(sys.argv[2:])\n"
        "except SystemExit as e: assert e.code == 0\n"
        "assert not set(sys.argv[1].split()) & set(sys.modules), sorted(set(sys.argv[1].split()) & set(sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code, " ".join(kept_out), *command], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("command", ["run", "resume"])
def test_a_live_folder_is_refused_before_torch_is_loaded(command: str, tmp_path: Path) -> None:
    spec, run = written(tmp_path, TINY), tmp_path / "run"
    run.mkdir()
    compiled = compile_spec(spec)
    write_given(run, compiled.graph)
    line = ["run", str(spec), "--run-dir", str(run)] if command == "run" else ["resume", str(run)]
    code = (
        "import sys; from prerl_spec.cli.main import main\n"
        "assert main(sys.argv[1:]) == 2\n"
        "assert not {'torch', 'transformers', 'accelerate'} & set(sys.modules)"
    )
    with hold_run_folder(run):
        done = subprocess.run([sys.executable, "-c", code, *line], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "is live" in done.stderr


def test_a_process_that_is_not_the_first_says_nothing_of_the_lock_and_writes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = written(tmp_path, TINY)
    monkeypatch.setenv("RANK", "1")
    compile_locked(spec, {}, locked=False, update=True)
    assert not lock_file(spec).exists()
    monkeypatch.setenv("RANK", "0")
    compile_locked(spec, {}, locked=False, update=True)
    other = {"sets": ("run.seed=5",)}
    for rank, said in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        compile_locked(spec, other, locked=False, update=False)
        assert ("changed since the lock" in capsys.readouterr().err) is said


NEED_THE_EXTRA = (
    ["run", "spec.toml"],
    ["run", "spec.toml", "--debug"],
    ["run", "spec.toml", "--profile"],
    ["plan", "--here", "spec.toml"],
    ["fetch", "scored.toml"],
    ["check-data", "spec.toml"],
    ["serve", "spec.toml"],
    ["eval", "nobody/nothing", "--tasks", "math500_boxed"],
    ["try", "mine.py"],
    ["plugin", "check", "prerl-spec"],
    ["compare", "runs/one", "runs/two"],
    ["doctor"],
)


def test_what_needs_the_extra_names_it_and_ends_with_3(tmp_path: Path) -> None:
    written(tmp_path, TINY)
    scored = 'spec = 1\nrun.name = "scored"\nmodel = { use = "hf_causal", name = "nobody/nothing" }\n'
    (tmp_path / "scored.toml").write_text(f'{scored}[[evaluate]]\nuse = "lm_eval"\ntasks = ["math500_boxed"]\n')
    (tmp_path / "mine.py").write_text(
        "from prerl_spec.sdk import Component\n\n\nclass Mine(Component):\n    kind = 'filter'\n"
    )
    for words, done in zip(NEED_THE_EXTRA, each_called(WITHOUT_TRAIN, NEED_THE_EXTRA, tmp_path), strict=True):
        assert done.returncode == 3, (words, done.stderr)
        assert INSTALL in done.stdout + done.stderr, words
        assert "Traceback" not in done.stderr, words
    assert not (tmp_path / "runs").exists()


def test_a_run_folder_does_not_go_on_without_the_extra(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    write_given(run, compile_spec(written(tmp_path, TINY)).graph)
    done = called(WITHOUT_TRAIN, ["resume", str(run)], tmp_path)
    assert done.returncode == 3, done.stderr
    assert INSTALL in done.stderr


def test_a_plan_that_was_made_without_the_extra_is_the_plan_that_is_run_with_it(tmp_path: Path) -> None:
    spec = written(tmp_path, TINY)
    done = called(WITHOUT_TRAIN, ["plan", str(spec), "--out", "plan.json"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert INSTALL in done.stdout
    assert "1 need not met" in done.stdout
    there = compile_spec(tmp_path / "plan.json")
    assert there.plan.digest == compile_spec(spec).plan.digest
    there.require_prerequisites()


def test_what_only_the_extra_can_tell_is_unknown_and_names_it(tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    (rows / "train.jsonl").write_text('{"question": "1 + 1 =", "answer": "2"}\n' * 8)
    evaluate = '[[evaluate]]\nuse = "lm_eval"\ntasks = ["gsm8k"]\n'
    hub = ('[data.train]\nuse = "arithmetic_chains"', '[data.train]\nuse = "hf_dataset"\npath = "rows"')
    text = bent(hub) + evaluate
    done = called(WITHOUT_TRAIN, ["plan", str(written(tmp_path, text))], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "rows unknown: install prerl-spec[train]" in done.stdout
    assert "unknown: install prerl-spec[train] (data set `train`)" in done.stdout
    assert "tokens unknown: install prerl-spec[train]" in done.stdout


def test_every_command_tells_its_options_without_the_extra(tmp_path: Path) -> None:
    commands = ("run", "resume", "fetch", "eval", "try", "serve", "report", "compare", "samples", "doctor")
    found = each_called(WITHOUT_TRAIN, [[command, "--help"] for command in commands], tmp_path)
    for command, done in zip(commands, found, strict=True):
        assert done.returncode == 0, (command, done.stderr)
        assert f"prerl-spec {command}" in done.stdout


WORK_EVERYWHERE = (
    ["validate", "spec.toml"],
    ["plan", "spec.toml"],
    ["lock", "spec.toml"],
    ["diff", "spec.toml", "spec.toml"],
    ["show", "--graph", "spec.toml"],
    ["schema"],
    ["explain", "E0301"],
    ["components", "list"],
    ["new", "mine.toml", "--template", "smoke"],
    ["plugin", "new", "prerl-acme"],
    ["run", "--help"],
)


def test_no_module_that_windows_lacks_is_imported(tmp_path: Path) -> None:
    written(tmp_path, TINY)
    for words, done in zip(WORK_EVERYWHERE, each_called(WITHOUT_POSIX, WORK_EVERYWHERE, tmp_path), strict=True):
        assert done.returncode == 0, (words, done.stderr)


def test_a_run_without_file_locks_says_so(tmp_path: Path) -> None:
    done = called(WITHOUT_POSIX, ["run", str(written(tmp_path, TINY))], tmp_path)
    assert done.returncode == 3, done.stderr
    assert "run on Linux or macOS" in done.stderr


def test_a_formula_that_a_code_page_lacks_is_written_as_an_escape() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prerl_spec", "components", "show", "grpo"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )
    assert done.returncode == 0, done.stderr
    assert rb"\u2212" in done.stdout
