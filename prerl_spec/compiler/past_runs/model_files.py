"""The local files that a run loads its models and tokenizers from: hashed when it starts, and the same at every resume.

They are part of a run's meaning, but weights are too large to hash in every `plan`: the digest holds the folder's name, the
manifest the SHA-256 of each file.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any

from prerl_spec.compiler.content_hash import ABSENT
from prerl_spec.compiler.plan import Plan
from prerl_spec.errors import Drift
from prerl_spec.storage.disk import write_whole
from prerl_spec.storage.sealed import read_object

WEIGHTS = ".safetensors"
SUFFIXES = (WEIGHTS, ".json", ".jinja", ".model", ".py", ".tiktoken", ".txt")
"""Of the files that transformers reads: configuration, weights, tokenizer, chat templates, code. Not a README."""
TEMPLATES = ("additional_chat_templates", "chat_templates")
"""Subfolders with further chat templates."""
FILES = "local_files"
"""Key of the manifest: folder -> file below it -> SHA-256."""

CACHED_BYTES = 1 << 20
"""Smaller files are hashed every time."""
SETTLED_SECONDS = 5.0
"""A file that has changed since is not cached: another change may come within one tick of the file system's clock."""
_SHOWN = 12

Hashes = Mapping[str, Mapping[str, str]]


def model_folders(plan: Plan) -> dict[str, bool]:
    """Every local folder that a model of the plan names, absolute -> whether weights are loaded from it, rather than the
    tokenizer alone."""
    found: dict[str, bool] = {}
    for settings in _models(plan):
        for key in ("tokenizer", "name"):
            name = settings.get(key)
            if isinstance(name, str) and name and os.path.isdir(name):
                folder = os.path.abspath(name)
                found[folder] = found.get(folder, False) or key == "name"
    return found


def hash_model_files(plan: Plan) -> dict[str, dict[str, str]]:
    """Folder -> file -> SHA-256, of every file that models of the plan are loaded from. Raises OSError."""
    cache = _Cache()
    hashes = {
        folder: {name: cache.sha256(Path(folder) / name) for name in _names(Path(folder), weights=weights)}
        for folder, weights in model_folders(plan).items()
    }
    cache.write()
    return hashes


def require_same_model_files(folder: Path, plan: Plan) -> None:
    """Raises Drift, naming each file with both hashes, if local models have changed since the run in `folder` began;
    Damaged.

    A run without a manifest has not begun.
    """
    before = _recorded(folder)
    if not before:
        return
    now = hash_model_files(plan)
    changed = [
        f"{os.path.join(where, name)}: {_short(was.get(name))} when the run began, {_short(now.get(where, {}).get(name))} now"
        for where, was in before.items()
        for name in sorted({*was, *now.get(where, {})})
        if was.get(name) != now.get(where, {}).get(name)
    ]
    if changed:
        listed = "\n  ".join(changed)
        raise Drift(
            f"local files of the model differ from those that the run in {folder} began with (SHA-256)\n  {listed}",
            hint="restore these files, or start another run with --new",
        )


def _recorded(folder: Path) -> Hashes:
    """Raises Damaged for a manifest that was changed."""
    try:
        found = read_object(folder / "manifest.json").get(FILES, {})
    except FileNotFoundError:
        return {}
    assert isinstance(found, dict), "written by hash_model_files"
    return found


def _models(plan: Plan) -> Iterator[Mapping[str, Any]]:
    """The settings of the policy's model and of models in slots of other components, such as a teacher."""
    return (part.settings for part in plan.components() if part.kind == "model")


def _names(folder: Path, *, weights: bool) -> list[str]:
    files = [*folder.iterdir(), *(file for name in TEMPLATES for file in (folder / name).glob("*"))]
    return sorted(
        file.relative_to(folder).as_posix()
        for file in files
        if file.suffix in SUFFIXES and (weights or file.suffix != WEIGHTS) and file.is_file()
    )


def _short(sha256: str | None) -> str:
    return ABSENT if sha256 is None else sha256[:_SHOWN]


class _Cache:
    """SHA-256 of large files by path, for as long as size, times and inode stay the same; a cache that cannot be read or
    written costs time only."""

    def __init__(self) -> None:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self._file = Path(home) / "prerl-spec" / "file_hashes.json"
        self._changed = False
        try:
            known = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            known = {}
        self._known: dict[str, Any] = known if isinstance(known, dict) else {}

    def sha256(self, file: Path) -> str:
        with file.open("rb") as content:
            state = os.fstat(content.fileno())
            key = os.path.realpath(file)
            stamp = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
            known = self._known.get(key)
            if isinstance(known, list) and known[:-1] == stamp and isinstance(known[-1], str):
                return known[-1]
            found = file_digest(content, "sha256").hexdigest()
        if state.st_size >= CACHED_BYTES and time.time() - max(state.st_mtime, state.st_ctime) > SETTLED_SECONDS:
            self._known[key] = [*stamp, found]
            self._changed = True
        return found

    def write(self) -> None:
        if not self._changed:
            return
        present = {name: entry for name, entry in self._known.items() if os.path.exists(name)}
        try:
            write_whole(self._file, json.dumps(present, indent=0))
        except OSError:
            return
