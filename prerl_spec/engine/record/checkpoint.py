"""Atomic checkpoints: written aside, synced, hashed, renamed and read back before an old one is removed.

`checkpoints/step-000020/` is a transformers folder (loads with `from_pretrained`) with the trainer's own state in
`trainer/`; MANIFEST.json lists every file with size and SHA-256. The newest checkpoint is computed, never stored. For a
model with an adapter, a phase end holds the merged model and the adapter in `adapter/`; any other step the adapter
alone.
"""

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from prerl_spec.errors import Damaged, RunFailed
from prerl_spec.storage import disk
from prerl_spec.storage.checkpoint_files import MANIFEST, folder_name
from prerl_spec.storage.sealed import object_text, read_object

LOADED = (".json", ".safetensors", ".jinja", ".model", ".bin", ".py")
"""Suffixes of what transformers and peft load from a folder."""
_NAME = re.compile(r"step-(\d{6}|[1-9]\d{6,})")


@dataclass(frozen=True)
class Saved:
    """A valid checkpoint: its folder, its step, and the trainer's state; `tensors` loads the trainer's tensors."""

    folder: Path
    global_step: int
    state: Mapping[str, Any]
    passed_over: tuple[str, ...] = ()
    """The newer checkpoints that are damaged, each with what is wrong with it."""

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
    disk.make_folder(root)
    work = root / f".tmp-{global_step}-{secrets.token_hex(4)}"
    try:
        trainer = work / "trainer"
        trainer.mkdir(parents=True)
        save_model(work)
        for name, group in tensors.items():
            if group:
                save_file({k: v.detach().cpu().contiguous() for k, v in group.items()}, trainer / f"{name}.safetensors")
        disk.write(trainer / "state.json", json.dumps(state, sort_keys=True, indent=1).encode())
        _seal(work)
        if target.exists():
            # An invalid folder of that name is renamed, not removed: it may help to find the cause.
            disk.rename(target, root / f".bad-{global_step}-{secrets.token_hex(4)}")
        disk.rename(work, target)
        disk.sync_folder(root)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    if found := problems(target):
        raise RunFailed(
            f"checkpoint {target.name} failed its read-back check: {found[0]}",
            hint="check the disk; the older checkpoint is kept",
        )
    return target


def newest(root: Path, *, at_most: int | None = None) -> Saved | None:
    """The newest checkpoint (of a step up to `at_most`) whose hashes match, None if there is no checkpoint.

    Raises Damaged if all are damaged: a restart from step 0 would be a silent loss.
    """
    passed_over: list[str] = []
    for folder in reversed(folders(root)):
        if at_most is not None and step_of(folder) > at_most:
            continue
        found = problems(folder)
        if not found:
            state = _state(folder)
            return Saved(folder, int(state["global_step"]), state, tuple(passed_over))
        passed_over.append(f"checkpoint {folder.name} is damaged ({found[0]})")
    if passed_over:
        raise Damaged(
            f"{root}: no checkpoint is valid: {'; '.join(passed_over)}",
            file=root,
            hint="restore one from a copy, or start a new run with --new",
        )
    return None


def retain(root: Path, keep: int, forever: frozenset[int]) -> None:
    """Removes all but the `keep` newest checkpoints and those of the steps in `forever` (phase ends), and leftover
    temporary folders."""
    kept = folders(root)
    for folder in kept[: max(0, len(kept) - keep)]:
        if step_of(folder) not in forever:
            disk.remove(folder)
    for leftover in root.glob(".tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def problems(folder: Path, *, whole: bool = True) -> list[str]:
    """The faults of a checkpoint, empty if every byte is unchanged since it was written; without `whole` files may be
    missing."""
    try:
        listed = read_object(folder / MANIFEST)["files"]
    except FileNotFoundError:
        return [f"{MANIFEST} is missing"]
    except (OSError, Damaged) as error:
        return [f"{MANIFEST} cannot be used: {error}"]
    found = {name: _entry(folder / name) for name in listed if whole or (folder / name).is_file()}
    differing = [f"{name} is missing or differs" for name, entry in found.items() if entry != listed[name]]
    if differing or not whole:
        return differing
    if folder.name != folder_name(step := _state(folder)["global_step"]):
        return [f"it is the checkpoint of step {step}"]
    return [f"{name} was added" for name in sorted(_loaded(folder) - set(listed) - {MANIFEST})]


def _state(folder: Path) -> dict[str, Any]:
    state = json.loads((folder / "trainer" / "state.json").read_text(encoding="utf-8"))
    assert isinstance(state, dict)
    return state


def _loaded(folder: Path) -> set[str]:
    """The files of a folder that a loader may read: an adapter_config.json, say, makes another model of it."""
    return {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.suffix in LOADED and f.is_file()}


def folders(root: Path) -> list[Path]:
    """The committed folders by step. A folder of any other name, such as a copy, is no checkpoint and is left alone."""
    named = [folder for folder in root.glob("step-*") if _NAME.fullmatch(folder.name) and folder.is_dir()]
    return sorted(named, key=step_of)


def step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _seal(folder: Path) -> None:
    """Syncs each file, then the manifest of all of them, then the folders."""
    files = sorted(f for f in folder.rglob("*") if f.is_file())
    listed = {}
    for file in files:
        disk.sync(file)
        listed[file.relative_to(folder).as_posix()] = _entry(file)
    manifest = folder / MANIFEST
    disk.write(manifest, object_text({"format": 1, "files": listed}).encode())
    disk.sync(manifest)
    for inner in [*(d for d in folder.rglob("*") if d.is_dir()), folder]:
        disk.sync_folder(inner)


def _entry(file: Path) -> dict[str, Any] | None:
    """Size and SHA-256 of a file, None if there is none."""
    try:
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
            return {"size": handle.tell(), "sha256": digest}
    except OSError:
        return None
