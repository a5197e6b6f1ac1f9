"""Checks what evaluations have written: cached scores, what each question has added to a score, the folder of `eval`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path

from prerl_spec.engine.inspect.findings import Finding, aside
from prerl_spec.engine.record.artefacts import QUESTIONS, artefacts, listed_artefacts
from prerl_spec.errors import Damaged
from prerl_spec.storage import disk
from prerl_spec.storage.counted_lines import counted_text, read_counted
from prerl_spec.storage.sealed import read_array, read_object


def check_evaluation(folder: Path) -> Iterator[Finding]:
    for file in sorted((folder / "evaluation" / "cache").glob("*.json")):
        name = f"evaluation/cache/{file.name}"
        try:
            read_object(file)
        except Damaged as error:
            remedy = "removed; scored again where it is needed"
            yield Finding(name, "damaged", error.message, remedy, repair=partial(disk.remove, file))
        else:
            yield Finding(name, "ok")


def check_questions(folder: Path) -> Iterator[Finding]:
    """What each question has contributed to the scores: by its lines, and by its hash in the manifest where it has one."""
    expected = {name: check for name, check in listed_artefacts(folder).items() if name.startswith(QUESTIONS)}
    now = {name: check for name, check in artefacts(folder).items() if name.startswith(QUESTIONS)}
    for name in sorted({*expected, *now}):
        try:
            read_counted(folder / name)
            detail = "" if now[name] == expected.get(name, now[name]) else "differs from its hash in manifest.json"
        except FileNotFoundError:
            detail = "missing"
        except Damaged as error:
            detail = error.message
        if not detail:
            yield Finding(name, "ok")
        elif (text := _kept_questions(folder, expected.get(name))) is not None:
            repair = partial(disk.write_whole, folder / name, text)
            yield Finding(name, "damaged", detail, "written anew from evaluation/cache", repair=repair)
        else:
            remedy = (
                "restore it from a copy: its scores stand in events.jsonl, and can no longer be compared by question"
            )
            yield Finding(name, "damaged", detail, remedy)


def check_eval_folder(folder: Path) -> Iterator[Finding]:
    """What `prerl-spec eval RUN` has written there: no manifest and no event knows of it."""
    reads: Mapping[str, Callable[[Path], object]] = {
        "scores.json": read_array,
        "cache/*.json": read_object,
        "questions/*.jsonl": read_counted,
        "contamination.json": read_object,
    }
    for pattern, read in reads.items():
        for file in sorted(folder.glob(pattern)):
            name = file.relative_to(folder.parent).as_posix()
            try:
                read(file)
            except Damaged as error:
                remedy = f"renamed to {file.name}.bad; the same `prerl-spec eval` writes it anew"
                yield Finding(name, "damaged", error.message, remedy, repair=partial(aside, file))
            else:
                yield Finding(name, "ok")


def _kept_questions(folder: Path, expected: str | None) -> bytes | None:
    """The text with this SHA-256, from the cache of scores."""
    for file in sorted((folder / "evaluation" / "cache").glob("*.json")):
        with suppress(Damaged, KeyError):
            kept = read_object(file)
            text = counted_text(kept["header"], kept["questions"])
            if sha256(text).hexdigest() == expected:
                return text
    return None
