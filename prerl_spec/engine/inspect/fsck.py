"""Checks every byte of a run folder that the run reads again, and repairs what can be repaired without guessing."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from prerl_spec.compiler.compile import read_plan
from prerl_spec.engine.inspect.check_scores import check_eval_folder, check_evaluation, check_questions
from prerl_spec.engine.inspect.findings import Finding, aside
from prerl_spec.engine.record import checkpoint
from prerl_spec.engine.record.artefacts import QUESTIONS, artefacts, listed_artefacts, read_manifest
from prerl_spec.errors import Damaged, PrerlError
from prerl_spec.storage import disk
from prerl_spec.storage.chained_lines import cut_torn_line, read_lines
from prerl_spec.storage.checkpoint_files import folder_name
from prerl_spec.storage.checks import sha256_start
from prerl_spec.storage.frames import cut_torn_frame, read_frames
from prerl_spec.storage.journal_frames import SUFFIX, read_step_entries, step_file
from prerl_spec.storage.run_events import HEAD, MANIFEST, begins_with, scores_of
from prerl_spec.storage.sealed import array_text, read_array

_NEW_MANIFEST = "a resume of an unfinished run writes a new one, without the record (lineage) of earlier starts"


def check_run(folder: Path) -> list[Finding]:
    """One finding for each file that the run reads again; nothing is changed."""
    return [
        _plan(folder),
        _manifest(folder),
        _events(folder),
        _scores(folder),
        *_journal(folder),
        *_checkpoints(folder),
        *check_evaluation(folder),
        *check_questions(folder),
        *check_eval_folder(folder / "eval"),
        *_artefacts(folder),
    ]


def _plan(folder: Path) -> Finding:
    try:
        read_plan(folder / "plan.json")
    except PrerlError as error:
        remedy = (
            "restore it from a copy, or write it anew with `prerl-spec plan RUN/spec.toml --out RUN/plan.json` and the "
            "options that the run was started with; `resume` refuses a plan whose digest is not the manifest's"
        )
        return Finding("plan.json", "damaged", error.message, remedy)
    return Finding("plan.json", "ok")


def _manifest(folder: Path) -> Finding:
    try:
        if read_manifest(folder) is not None or not (folder / "events.jsonl").exists():
            return Finding(MANIFEST, "ok")
    except Damaged as error:
        remedy = f"renamed to {MANIFEST}.bad; {_NEW_MANIFEST}"
        return Finding(MANIFEST, "damaged", error.message, remedy, repair=lambda: aside(folder / MANIFEST))
    if _has_bad(folder / MANIFEST):
        return Finding(MANIFEST, "damaged", "missing", _NEW_MANIFEST)
    lost = folder / f"{MANIFEST}.bad"
    remedy = f"noted as lost in {lost.name}; {_NEW_MANIFEST}"
    return Finding(MANIFEST, "damaged", "missing", remedy, repair=lambda: disk.write_whole(lost, ""))


def _has_bad(file: Path) -> bool:
    return any(file.parent.glob(f"{file.name}*.bad"))


def _events(folder: Path) -> Finding:
    file = folder / "events.jsonl"
    remedy = "restore it from a copy: nothing else holds all events"
    try:
        found = read_lines(file)
    except Damaged as error:
        return Finding("events.jsonl", "damaged", error.message, remedy)
    for holder, head in _heads(folder):
        if not begins_with(found, head):
            detail = f"its first {head['count']} events are not those that {holder} was written after"
            return Finding("events.jsonl", "damaged", detail, remedy)
    if found.torn:
        return Finding(
            "events.jsonl",
            "torn",
            "its last line is incomplete: the run was killed while it was written",
            "the incomplete line is cut off, as a resume does",
            repair=lambda: cut_torn_line(file, found),
        )
    return Finding("events.jsonl", "ok")


def _heads(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Who holds a head of the events, and the head."""
    with suppress(Damaged):  # each of them is a finding of its own
        if (saved := checkpoint.newest(folder / "checkpoints")) is not None:
            yield saved.folder.name, saved.state[HEAD]
    with suppress(Damaged):
        manifest = read_manifest(folder)
        if manifest is not None and HEAD in manifest:
            yield MANIFEST, manifest[HEAD]


def _scores(folder: Path) -> Finding:
    file = folder / "scores.json"
    recorded = None
    if _events(folder).state != "damaged":
        recorded = scores_of(read_lines(folder / "events.jsonl").entries)
    try:
        found = read_array(file) if file.is_file() else []
        if recorded is None or json.loads(json.dumps(recorded)) == found:
            return Finding("scores.json", "ok")
        detail = "not the scores of events.jsonl"
    except Damaged as error:
        detail = error.message
    if recorded is None:
        return Finding("scores.json", "damaged", detail, "restore it or events.jsonl from a copy")
    text = array_text(recorded)
    return Finding(
        "scores.json", "damaged", detail, "written anew from events.jsonl", repair=lambda: disk.write_whole(file, text)
    )


def _journal(folder: Path) -> Iterator[Finding]:
    try:
        events = read_lines(folder / "events.jsonl").entries
    except Damaged:
        events = ()
    hashes = {e["global_step"]: e["hashes"]["journal"] for e in events if e["event"] == "step"}
    root = folder / "journal"
    trained_on = {step_file(root, step): check for step, check in hashes.items() if check is not None}
    for file in sorted(root.glob(f"*{SUFFIX}")):
        yield _journal_file(file, trained_on.get(file))
    for step, file in ((step, step_file(root, step)) for step in hashes):
        if file in trained_on and not file.is_file():
            detail = f"missing, and step {step} was trained on it"
            remedy = "`samples`, `report` and `replay` lack this step; a resume from before it samples it again"
            yield Finding(f"journal/{file.name}", "damaged", detail, remedy)


def _journal_file(file: Path, trained_on: str | None) -> Finding:
    """`trained_on` is the hash of the file that a step was trained on, where it was."""
    name = f"journal/{file.name}"
    try:
        if file.name.startswith("step-"):
            read_step_entries(file)
        found = read_frames(file)
        if trained_on is not None and sha256_start(file.read_bytes()) != trained_on:
            raise Damaged(f"{file}: not what its step was trained on", file=file)
    except Damaged as error:
        remedy = (
            f"renamed to {file.name}.bad; a record that nothing but `fsck` reads"
            if not file.name.startswith("step-")
            else f"renamed to {file.name}.bad; a resume from before this step samples it again from the same seeds (the "
            "same bits with the sampler `transformers`) and verifies it again"
        )
        return Finding(name, "damaged", error.message, remedy, repair=lambda: aside(file))
    if found.torn:
        detail = "its last frame is incomplete: the run was killed while it was written"
        remedy = "the incomplete frame is cut off, as a resume does"
        return Finding(name, "torn", detail, remedy, repair=lambda: cut_torn_frame(file, found))
    return Finding(name, "ok")


def _checkpoints(folder: Path) -> Iterator[Finding]:
    root = folder / "checkpoints"
    found = {saved: checkpoint.problems(saved) for saved in checkpoint.folders(root)}
    for saved, problems in found.items():
        name = f"checkpoints/{saved.name}"
        if not problems:
            yield Finding(name, "ok")
        elif all(found.values()):
            yield Finding(name, "damaged", "; ".join(problems), "restore a checkpoint from a copy: none is valid")
        else:
            remedy = f"renamed to {saved.name}.bad; `prerl-spec resume RUN` repeats the steps after an older checkpoint"
            yield Finding(name, "damaged", "; ".join(problems), remedy, repair=partial(aside, saved))
    for step in sorted(_kept_steps(folder)):
        if not (missing := root / folder_name(step)).is_dir():
            remedy = "restore it from a copy; `prerl-spec resume RUN` repeats the steps after the newest that is there"
            yield Finding(f"checkpoints/{missing.name}", "damaged", "missing, and the run had committed it", remedy)


def _kept_steps(folder: Path) -> set[int]:
    """The steps whose checkpoints are never removed: phase ends, and the newest."""
    try:
        events = read_lines(folder / "events.jsonl").entries
    except Damaged:
        return set()
    committed = [e["global_step"] for e in events if e["event"] == "checkpoint"]
    ends = {e["global_step"] for e in events if e["event"] == "phase" and e["state"] == "end"}
    return {*ends.intersection(committed), *committed[-1:]}


def _artefacts(folder: Path) -> Iterator[Finding]:
    """Files that are written once and only read by people: by their hash in the manifest."""
    now = artefacts(folder)
    for name, expected in listed_artefacts(folder).items():
        if name in ("plan.json", "scores.json") or name.startswith(("checkpoints/", QUESTIONS)):
            continue
        if now.get(name) == expected:
            yield Finding(name, "ok")
        elif name == "report.html":
            yield Finding(
                name, "damaged", "differs from its hash in manifest.json", "`prerl-spec report RUN` writes it anew"
            )
        else:
            detail = "missing, or differs from its hash in manifest.json"
            yield Finding(name, "damaged", detail, "nothing reads it again: restore it from a copy, if you want it")
