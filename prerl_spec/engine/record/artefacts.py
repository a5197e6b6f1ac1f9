"""The files that a run has produced: their SHA-256 in manifest.json, recorded at the end of each phase and of the run.

A checkpoint is represented by its own MANIFEST.json, which lists its files. Journal and events are left out: they grow.
"""

from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any

from prerl_spec.errors import Damaged
from prerl_spec.storage.run_events import HEAD, MANIFEST, head_of, read_run_events
from prerl_spec.storage.sealed import read_object, write_object

REPORT = "report.html"
QUESTIONS = "evaluation/questions/"
ONCE = ("plan.json", "spec.toml", "tokenizers/", QUESTIONS)
"""Written once, plan and spec again where a run is extended."""
KEPT = (
    "plan.json",
    "spec.toml",
    "scores.json",
    REPORT,
    "tokenizers/*/*",
    "checkpoints/step-*/MANIFEST.json",
    f"{QUESTIONS}*.jsonl",
)
"""Patterns below the run folder."""


def artefacts(folder: Path) -> dict[str, str]:
    """Path below the folder -> SHA-256, sorted."""
    found = sorted({file for pattern in KEPT for file in folder.glob(pattern) if file.is_file()})
    return {file.relative_to(folder).as_posix(): _sha256(file) for file in found}


def note_artefacts(folder: Path) -> None:
    """Writes the hashes and the head of the events into the manifest; a no-op if the run has no manifest yet.

    A hash of what is written once stays as it was first recorded: hashing it again would approve of damage.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return
    now, before = artefacts(folder), manifest.get("artefacts", {})
    once = {name: found for name, found in before.items() if name.startswith(ONCE)}
    head = head_of(read_run_events(folder))
    replace_manifest(folder, {**manifest, "artefacts": {**now, **once}, HEAD: head})


def note_samplers(folder: Path, computes: Mapping[str, str]) -> None:
    """Writes how samplers compute, as found when they opened; a no-op if that is known, or without a manifest."""
    manifest = read_manifest(folder)
    if manifest is None:
        return
    samplers = {**manifest.get("samplers", {}), **computes}
    if samplers != manifest.get("samplers", {}):
        replace_manifest(folder, {**manifest, "samplers": samplers})


def note_report(folder: Path) -> None:
    """Writes the hash of report.html alone, which `report` has written anew."""
    manifest = read_manifest(folder)
    if manifest is not None:
        hashes = {**manifest.get("artefacts", {}), REPORT: _sha256(folder / REPORT)}
        replace_manifest(folder, {**manifest, "artefacts": hashes})


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a run, None if there is none. Raises Damaged."""
    try:
        return read_object(folder / MANIFEST)
    except FileNotFoundError:
        return None


def listed_artefacts(folder: Path) -> dict[str, str]:
    """The hashes of the manifest's artefacts; none where the manifest is damaged, which is a finding of its own."""
    try:
        listed: dict[str, str] = (read_manifest(folder) or {}).get("artefacts", {})
    except Damaged:
        return {}
    return listed


def replace_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    write_object(folder / MANIFEST, manifest)


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return file_digest(handle, "sha256").hexdigest()
