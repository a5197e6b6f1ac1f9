"""What a user's machine refuses is told with its place and a documented exit code, and is never called a bug of ours."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from prerl_spec.cli import main as cli
from prerl_spec.errors import RunFailed
from prerl_spec.situations import as_run_failure, situation_of

SMOKE = Path(__file__).parents[2] / "specs" / "smoke.toml"
SOURCES = os.pathsep.join([*filter(None, sys.path)])


def writing_commands(place: Path) -> list[list[str]]:
    """Every command that writes where the user says, with a place below `place`; those of `eval` are in test_eval_command."""
    return [
        ["run", str(SMOKE), "--set", f"run.output_dir={json.dumps(str(place))}"],
        ["run", str(SMOKE), "--run-dir", str(place / "run")],
        ["run", str(SMOKE), "--profile", "--set", f"run.output_dir={json.dumps(str(place))}"],
        ["plan", str(SMOKE), "--out", str(place / "plan.json")],
        ["schema", "--out", str(place / "schema.json")],
        ["new", str(place / "new.toml"), "--template", "smoke"],
        ["plugin", "new", "prerl-acme", "--in", str(place)],
    ]


@pytest.mark.parametrize("which", ["below a file", "in /proc"])
def test_a_place_where_nothing_can_be_written_is_a_usage_error(
    which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "x" if which == "below a file" else Path("/proc/x")
    # Below a file and in /proc differ in the error that the system gives only: one command that makes folders is enough.
    for command in writing_commands(place)[: None if which == "in /proc" else 1]:
        assert cli.main(command) == 2, command
        told = capsys.readouterr().err
        assert f"{place}" in told, command
        assert "cannot be written" in told, command


def test_a_name_that_is_too_long_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["report"], ["validate"], ["resume"], ["samples"]):
        assert cli.main([*command, str(tmp_path / ("a" * 300))]) == 2
        assert "file name too long" in capsys.readouterr().err


READ_ONLY = """
import json, sys
from prerl_spec.cli.main import main
print(json.dumps([main(command) for command in json.loads(sys.argv[1])]), file=sys.__stdout__)
"""


def test_a_folder_that_is_read_only_is_told_before_anything_begins(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "run").mkdir(parents=True)
    spec = folder / "smoke.toml"
    spec.write_text(SMOKE.read_text(encoding="utf-8"), encoding="utf-8")
    assert cli.main(["plan", str(spec), "--out", str(folder / "run" / "plan.json")]) == 0
    (folder / "run" / "spec.toml").write_text(spec.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "run" / "events.jsonl").write_text("", encoding="utf-8")
    commands = [
        *writing_commands(folder),
        ["run", str(spec), "--run-dir", str(folder / "run")],
        ["resume", str(folder / "run")],
        ["report", str(folder / "run")],
        ["lock", str(spec)],
        ["run", str(spec), "--update-lock"],
    ]
    line = [sys.executable, "-c", READ_ONLY, json.dumps(commands)]
    folder.chmod(0o555)
    (folder / "run").chmod(0o555)
    if os.geteuid() == 0:  # permissions do not bind root; a mount does
        mount = f'mount --bind "{folder}" "{folder}" && mount -o remount,ro,bind "{folder}" && exec "$@"'
        line = ["unshare", "--mount", "sh", "-c", mount, "sh", *line]
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": SOURCES})
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"this machine mounts nothing: {done.stderr}")
    assert "internal error" not in done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    assert [command for command, code in zip(commands, codes, strict=True) if code != 3] == [], done.stderr
    assert sum(text in done.stderr for text in ("read-only file system", "permission denied")) == 1


def test_a_memory_limit_is_told_while_torch_is_loaded(tmp_path: Path) -> None:
    limit = 400 << 20
    done = subprocess.run(
        [sys.executable, "-m", "prerl_spec", "run", str(SMOKE), "--run-dir", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCES, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.returncode == 3, done.stderr
    assert "error: out of memory (this process may use 400 MiB: `ulimit -v`)" in done.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "out of memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory", "/a/b.so"), "out of memory"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"), "out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out of memory"),
        (ImportError("libcudart.so.12: cannot open shared object file", name="torch._C"), "`torch._C`"),
        (PermissionError(errno.EACCES, "Permission denied", "/a/b"), "/a/b: permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left"),
        (UnicodeEncodeError("utf-8", "x\udcff", 1, 2, "surrogates not allowed"), "half of a surrogate pair"),
    ],
)
def test_what_the_machine_refuses_is_no_bug(error: Exception, words: str) -> None:
    found = situation_of(error)
    assert found is not None
    assert (found.exit_code, words in found.message) == (3, True)
    with pytest.raises(RunFailed, match=r"out of memory|`|/a/b|left|half") as failed, as_run_failure():
        raise error
    assert "resume" in (failed.value.hint or "")


@pytest.mark.parametrize(
    "error", [KeyError("boom"), ImportError("no name", name="prerl_spec.errors"), OSError("without a number")]
)
def test_a_bug_stays_a_bug(error: Exception) -> None:
    assert situation_of(error) is None
    with pytest.raises(type(error)), as_run_failure():
        raise error


def test_an_error_wrapped_by_another_is_seen() -> None:
    wrapped = ValueError("could not load")
    wrapped.__cause__ = MemoryError()
    assert "out of memory" in situation_of(wrapped).message  # type: ignore[union-attr]


def test_a_verifier_starts_below_a_hard_limit_of_its_own() -> None:
    code = (
        "import resource as r\n"
        "r.setrlimit(r.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "from prerl_spec.process.memory_limit import limit_memory\n"
        "limit_memory(4 << 30)\n"
        "assert r.getrlimit(r.RLIMIT_AS) == (1 << 30, 1 << 30)\n"
        "limit_memory(1 << 29)\n"
        "assert r.getrlimit(r.RLIMIT_AS) == (1 << 29, 1 << 29)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": SOURCES})
