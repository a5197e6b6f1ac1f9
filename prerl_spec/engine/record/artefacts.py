"""The files that a run has produced: their SHA-256 in manifest.json, recorded at the end of each phase and of the run.

A checkpoint is represented by its own MANIFEST.json, which lists its files. Journal and events are left out: they grow.
"""

import json
from hashlib import file_digest
from pathlib import Path
from typing import Any

from prerl_spec.whole_file import write_whole

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
    """The manifest of a run, None if there is none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    assert isinstance(manifest, dict), "a manifest is a JSON object"
    return manifest


def replace_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=1, default=str))


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return file_digest(handle, "sha256").hexdigest()
