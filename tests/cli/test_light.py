"""What must be quick, or must work where torch is not installed, imports nothing heavy on the way."""

import subprocess
import sys
from pathlib import Path

import pytest

from prerl_spec.cli.locked import compile_locked
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.lock import lock_file
from prerl_spec.compiler.runs import hold_run_folder
from prerl_spec.engine.folder import write_given
from tests.cli.test_commands import BLOCKED
from tests.compiler.specs import TINY, written


@pytest.mark.parametrize(
    "commands",
    [
        (("schema",),),
        (("lock", "SPEC"), ("lock", "--check", "SPEC")),
        (("diff", "SPEC", "SPEC"),),
        (("new", "mine.toml", "--template", "smoke"),),
        (("fetch", "SPEC"),),
    ],
    ids=lambda commands: commands[0][0],
)
def test_nothing_heavy_is_imported(commands: tuple[tuple[str, ...], ...], tmp_path: Path) -> None:
    spec = str(written(tmp_path, TINY))
    for command in commands:
        line = [spec if word == "SPEC" else word for word in command]
        done = subprocess.run(
            [sys.executable, "-c", BLOCKED, *line], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout


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
