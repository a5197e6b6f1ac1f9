"""The state of a git repository in a few words: enough to find the same sources again, or to know that one cannot."""

import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 10


def git_state(folder: Path, *, tracking: str | None = None) -> dict[str, Any] | None:
    """Commit, branch, and what is not committed, of the repository that holds the folder; None outside one, and where
    it does not track the file `tracking` of the folder: an installed package may lie in anybody's repository.

    `changes` is a SHA-256 over the difference to the commit (files that git does not know are only in `dirty`), None
    where there is none.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS
        ).stdout.strip()

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
