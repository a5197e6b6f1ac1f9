"""The state of the repository that a spec lies in."""

import os
import subprocess
from pathlib import Path

from prerl_spec.engine.record.git_state import git_state


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_commit_branch_and_what_is_not_committed(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    git(tmp_path, "init")
    assert git_state(tmp_path) is None  # nothing is committed
    spec = tmp_path / "spec.toml"
    spec.write_text("spec = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    clean = git_state(tmp_path)
    assert clean == {"commit": git(tmp_path, "rev-parse", "HEAD"), "branch": "main", "dirty": False, "changes": None}
    spec.write_text("spec = 2\n")
    changed = git_state(tmp_path)
    assert changed is not None
    assert changed["dirty"]
    spec.write_text("spec = 3\n")
    other = git_state(tmp_path)
    assert other is not None
    assert None not in (changed["changes"], other["changes"])
    assert changed["changes"] != other["changes"]


def test_the_index_is_left_alone(tmp_path: Path) -> None:
    """Where a file's times have changed, `git status` and `git diff` write it again, under a lock that a kill leaves there."""
    git(tmp_path, "init")
    spec, index = tmp_path / "spec.toml", tmp_path / ".git" / "index"
    spec.write_text("spec = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    os.utime(spec, (1, 1))
    before = index.read_bytes()
    state = git_state(tmp_path)
    assert state is not None
    assert (state["dirty"], state["changes"]) == (False, None)
    assert index.read_bytes() == before


def test_a_repository_that_does_not_track_the_package_says_nothing_of_it(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "a.py").write_text("")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "b.py").write_text("")
    assert git_state(tmp_path, tracking="a.py") is not None
    assert git_state(tmp_path, tracking="b.py") is None
