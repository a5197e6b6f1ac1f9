"""The files that a run has produced: their SHA-256 in manifest.json, recorded at the end of each phase and of the run.

A checkpoint is represented by its own MANIFEST.json, which lists its files. Journal and events are left out: they grow.
"""

from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any

from prerl_spec.storage.sealed import read_object, write_object

MANIFEST = "manifest.json"
KEPT = (
    "plan.json",
    "spec.toml",
    "scores.json",
    "report.html",
    "tokenizers/*/*",
    "checkpoints/step-*/MANIFEST.json",
)
"""Patterns below the run folder."""


def artefacts(folder: Path) -> dict[str, str]:
    """Path below the folder -> SHA-256, sorted."""
    found = sorted({file for pattern in KEPT for file in folder.glob(pattern) if file.is_file()})
    return {file.relative_to(folder).as_posix(): _sha256(file) for file in found}


def note_artefacts(folder: Path) -> None:
    """Writes the hashes into the manifest; a no-op if the run has no manifest yet."""
    manifest = read_manifest(folder)
    if manifest is not None:
        replace_manifest(folder, {**manifest, "artefacts": artefacts(folder)})


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a run, None if there is none. Raises Damaged."""
    try:
        return read_object(folder / MANIFEST)
    except FileNotFoundError:
        return None


def replace_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    write_object(folder / MANIFEST, manifest)


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return file_digest(handle, "sha256").hexdigest()
