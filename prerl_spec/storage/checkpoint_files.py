"""Where the parts of a checkpoint lie, for readers that load no tensor: `checkpoints/step-000020/`."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from prerl_spec.errors import Damaged
from prerl_spec.storage.sealed import read_object

FOLDER = "checkpoints"
"""In the run folder."""
MANIFEST = "MANIFEST.json"
STATE = "trainer/state.json"
REFERENCE = "trainer/reference.safetensors"


class Listed(NamedTuple):
    """What a checkpoint says of itself: SHA-256 of each file, and the trainer's state."""

    files: Mapping[str, str]
    state: Mapping[str, Any]


def folder_name(global_step: int) -> str:
    return f"step-{global_step:06d}"


def read_listed(folder: Path) -> Listed:
    """The list of a checkpoint's files and its state; of the files only these two are checked. Raises Damaged, OSError."""
    listed = read_object(folder / MANIFEST)["files"]
    state = (folder / STATE).read_bytes()
    if listed.get(STATE, {}).get("sha256") != hashlib.sha256(state).hexdigest():
        raise Damaged(f"{folder / STATE} differs from its hash in {MANIFEST}", file=folder / STATE)
    return Listed({name: entry["sha256"] for name, entry in listed.items()}, json.loads(state))
