"""The command line's outermost frame: dispatch, exit codes, and what `--help` costs."""

import importlib.util
import re
import subprocess
import sys
import types

import pytest

from prerl_spec.cli import main as cli
from prerl_spec.errors import Drift, EnvironmentUnmet, Interrupted, RunFailed, SpecInvalid, UsageError


def command_that(ends: BaseException | int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("prerl_spec.cli.environment.doctor")

    def run(arguments: object) -> int:
        if isinstance(ends, int):
            return ends
        raise ends

    module.add = lambda parser: None  # type: ignore[attr-defined]
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "prerl_spec.cli.environment.doctor", module)


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        (0, 0),
        (SpecInvalid([]), 1),
        (UsageError("no such file: a.toml"), 2),
        (EnvironmentUnmet("vllm is not installed", hint="pip install vllm"), 3),
        (ModuleNotFoundError("No module named 'vllm'", name="vllm"), 3),
        (Drift("another meaning"), 4),
        (RunFailed("non-finite loss"), 5),
        (ModuleNotFoundError("No module named 'prerl_spec.x'", name="prerl_spec.x"), 5),
        (KeyError("boom"), 5),
        (Interrupted("stopped"), 75),
        (KeyboardInterrupt(), 75),
    ],
)
def test_every_ending_has_its_exit_code_and_no_traceback(
    ends: BaseException | int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command_that(ends, monkeypatch)
    assert cli.main(["doctor"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_an_error_says_what_and_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command_that(EnvironmentUnmet("vllm is not installed", hint="pip install vllm"), monkeypatch)
    cli.main(["doctor"])
    assert capsys.readouterr().err == "error: vllm is not installed\n  = help: pip install vllm\n"


def test_a_bug_of_ours_shows_its_traceback_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command_that(KeyError("boom"), monkeypatch)
    assert cli.main(["doctor", "--traceback"]) == 5
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["microscope", "a.toml"], "unknown command `microscope`"),
        (["vaildate"], "did you mean `validate`?"),
        (["zzz"], "choose from"),
        ([], "usage"),
    ],
)
def test_a_command_that_is_not_there_is_a_usage_error(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    assert said in capsys.readouterr().err


def test_an_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--nonsense"])
    assert ended.value.code == 2


def test_a_setting_written_as_an_option_is_answered_with_set(capsys: pytest.CaptureFixture[str]) -> None:
    for command, is_told in (("validate", True), ("explain", False)):
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "a.toml", "--lr", "3"])
        assert ended.value.code == 2
        told = capsys.readouterr().err
        assert "unrecognized arguments: --lr" in told
        assert ("a setting of the spec is changed by --set PATH=VALUE" in told) == is_told


def test_help_and_version_load_nothing_heavy() -> None:
    code = (
        "import sys; from prerl_spec.cli.main import main\n"
        "try: main([sys.argv[1]])\n"
        "except SystemExit as e: assert e.code == 0\n"
        "heavy = {'pydantic', 'numpy', 'torch', 'jinja2', 'tokenizers', 'packaging'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    for flag in ("--help", "--version"):
        subprocess.run([sys.executable, "-c", code, flag], check=True, stdout=subprocess.DEVNULL)


def test_help_lists_the_commands_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    listed = re.findall(r"^  ([a-z-]+)  ", capsys.readouterr().out.partition("commands:")[2], re.MULTILINE)
    assert listed == list(cli.COMMANDS)
    assert all(importlib.util.find_spec(cli.module_of(name)) for name in listed)
