"""The state of a git repository: enough to find the same sources again, or to know that this is impossible."""

import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 10


def git_state(folder: Path, *, tracking: str | None = None) -> dict[str, Any] | None:
    """Commit, branch and uncommitted changes of the repository that holds the folder. None outside a repository, and if
    it does not track the folder's file `tracking`: an installed package may lie inside an unrelated repository.

    `changes` is the SHA-256 of the diff to the commit, None without one; untracked files count in `dirty` only.
    """

    def git(*arguments: str) -> str:
        # A git that is killed, with its run or for taking too long, would leave the lock of the index to its user.
        quiet = ["--no-optional-locks", "-c", "diff.autoRefreshIndex=false"]
        command = ["git", *quiet, "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS)
        return done.stdout.strip()

    try:
        if tracking is not None:
            git("ls-files", "--error-unmatch", tracking)
        difference = git("diff", "HEAD", "--no-ext-diff")
        return {
            "commit": git("rev-parse", "HEAD"),
            "branch": git("rev-parse", "--abbrev-ref", "HEAD"),
            "dirty": bool(git("status", "--porcelain")),
            "changes": sha256(difference.encode()).hexdigest() if difference else None,
        }
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
