"""Checks, before anything is loaded, that all processes see one and the same folder: every process of a run reads its
checkpoints, events and journal by path."""

import secrets
import socket
import time
from pathlib import Path

from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.errors import EnvironmentUnmet

SECONDS_TO_APPEAR = 15.0
"""A network file system shows a new file to other machines with a delay."""
_SECONDS_BETWEEN_LOOKS = 0.05


def require_shared(folder: Path, ranks: Ranks) -> None:
    """Rank 0 writes a file of a random name and content into the folder, every other rank reads it, and it is removed.

    A collective call. Raises EnvironmentUnmet, on every rank, if a rank does not see it: the folder is another one there.
    """
    if ranks.size == 1:
        return
    nonce = ranks.gather([secrets.token_hex(8)] if ranks.is_main else [])[0]
    file = folder / f".seen-by-all-{nonce}"
    ranks.main_does(lambda: _write(file, nonce), str(file))
    blind = [] if _reads(file, nonce) else [(ranks.rank, socket.gethostname())]
    all_blind = ranks.gather(blind)
    if ranks.is_main:
        file.unlink(missing_ok=True)
    if all_blind:
        rank, host = all_blind[0]
        others = f" (nor do {len(all_blind) - 1} others)" if len(all_blind) > 1 else ""
        raise EnvironmentUnmet(
            f"process {rank} of {ranks.size}, on {host}, does not see what process 0 writes into {folder}{others}: every node "
            "must see the same folder at the same path",
            hint="put it on a file system that all nodes share: run.output_dir or --run-dir (eval: --out)",
        )


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="ascii")


def _reads(file: Path, text: str) -> bool:
    deadline = time.monotonic() + SECONDS_TO_APPEAR
    while True:
        try:
            if file.read_text(encoding="ascii") == text:
                return True
        except OSError:
            pass
        if time.monotonic() > deadline:
            return False
        time.sleep(_SECONDS_BETWEEN_LOOKS)
