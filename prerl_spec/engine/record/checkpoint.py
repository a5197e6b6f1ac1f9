"""Atomic checkpoints: written aside, synced, hashed, renamed and read back before an old one is removed.

`checkpoints/step-000020/` is a transformers folder (loads with `from_pretrained`) with the trainer's own state in
`trainer/`; MANIFEST.json lists every file with size and SHA-256. The newest checkpoint is computed, never stored. For a
model with an adapter, a phase end holds the merged model and the adapter in `adapter/`; any other step the adapter
alone.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from prerl_spec.errors import RunFailed

MANIFEST = "MANIFEST.json"


@dataclass(frozen=True)
class Saved:
    """A valid checkpoint: its folder, its step, and the trainer's state; `tensors` loads the trainer's tensors."""

    folder: Path
    global_step: int
    state: Mapping[str, Any]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The trainer's tensors of one file ("optimizer", "reference"), empty if there is none."""
        file = self.folder / "trainer" / f"{name}.safetensors"
        return load_file(file) if file.is_file() else {}


def commit(
    root: Path,
    global_step: int,
    *,
    save_model: Callable[[Path], None],
    state: Mapping[str, Any],
    tensors: Mapping[str, Mapping[str, Tensor]],
) -> Path:
    """Writes `step-{global_step}` and returns its folder. Called by the main rank only.

    A valid checkpoint of that step is left unchanged: the same step of the same run is the same state.
    Raises OSError (nothing is committed, older checkpoints are unaffected) and RunFailed if the read-back differs.
    """
    target = root / folder_name(global_step)
    if target.is_dir() and problems(target) == []:
        return target
    root.mkdir(exist_ok=True)
    work = root / f".tmp-{global_step}-{secrets.token_hex(4)}"
    try:
        trainer = work / "trainer"
        trainer.mkdir(parents=True)
        save_model(work)
        for name, group in tensors.items():
            if group:
                save_file({k: v.detach().cpu().contiguous() for k, v in group.items()}, trainer / f"{name}.safetensors")
        (trainer / "state.json").write_text(json.dumps(state, sort_keys=True, indent=1), encoding="utf-8")
        _seal(work)
        if target.exists():
            # An invalid folder of that name is renamed, not removed: it may help to find the cause.
            target.rename(root / f".bad-{global_step}-{secrets.token_hex(4)}")
        work.rename(target)
        _sync(root)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    if found := problems(target):
        raise RunFailed(
            f"checkpoint {target.name} failed its read-back check: {found[0]}",
            hint="check the disk; the older checkpoint is kept",
        )
    return target


def newest(root: Path) -> Saved | None:
    """The newest checkpoint whose hashes match, None if there is none; damaged ones are skipped."""
    for folder in reversed(_in_order(root)):
        if not problems(folder):
            state = json.loads((folder / "trainer" / "state.json").read_text(encoding="utf-8"))
            return Saved(folder, int(state["global_step"]), state)
    return None


def retain(root: Path, keep: int, forever: frozenset[int]) -> None:
    """Removes all but the `keep` newest checkpoints and those of the steps in `forever` (phase ends), and leftover
    temporary folders."""
    folders = _in_order(root)
    for folder in folders[: max(0, len(folders) - keep)]:
        if int(folder.name.removeprefix("step-")) not in forever:
            shutil.rmtree(folder)
    for leftover in root.glob(".tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def problems(folder: Path) -> list[str]:
    """The faults of a checkpoint, empty if every byte is unchanged since it was written."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        listed = manifest["files"]
        sealed = manifest["seal"] == _seal_of(listed)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"{MANIFEST}: {error!r}"]
    if not sealed:
        return [f"{MANIFEST} differs from its seal"]
    return [f"{name} is missing or differs" for name, entry in listed.items() if _entry(folder / name) != entry]


def _in_order(root: Path) -> list[Path]:
    """The committed folders by step: their names have six digits or more."""
    return sorted(root.glob("step-*"), key=lambda folder: int(folder.name.removeprefix("step-")))


def folder_name(global_step: int) -> str:
    return f"step-{global_step:06d}"


def _seal(folder: Path) -> None:
    """Syncs each file, then the manifest of all of them, then the folders."""
    files = sorted(f for f in folder.rglob("*") if f.is_file())
    listed = {}
    for file in files:
        _sync(file)
        listed[file.relative_to(folder).as_posix()] = _entry(file)
    manifest = folder / MANIFEST
    manifest.write_text(
        json.dumps({"format": 1, "seal": _seal_of(listed), "files": listed}, indent=1), encoding="utf-8"
    )
    _sync(manifest)
    for inner in [*(d for d in folder.rglob("*") if d.is_dir()), folder]:
        _sync(inner)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entry(file: Path) -> dict[str, Any] | None:
    """Size and SHA-256 of a file, None if there is none."""
    try:
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
            return {"size": handle.tell(), "sha256": digest}
    except OSError:
        return None


def _seal_of(listed: Mapping[str, Any]) -> str:
    """SHA-256 over the list of files, so that damage to the manifest itself is found as well."""
    return hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()
