"""The folder of an evaluation of several models: a subfolder for each, and models.json, which says whose it is."""

import re
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from prerl_spec.errors import Damaged, UsageError
from prerl_spec.storage.sealed import read_object, write_object

INDEX = "models.json"
FORMAT = 1
_PASSED_OVER = ("checkpoints",)
"""Parts of a path that tell no model from another."""
_UNSAFE = re.compile(r"[^\w.-]")


def model_names(targets: Sequence[str]) -> list[str]:
    """A short name for each target, all different: `["dsrl", "grpo"]` for runs, `["dsrl-step-000020", "grpo-step-000020"]` for
    their checkpoints, `["Qwen--Qwen3-0.6B"]` for a hub model. Raises UsageError for a target that is named twice."""
    places = [place_of(target) for target in targets]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UsageError(f"{targets[number]} is named twice", hint="name each model once")
    parts = [_parts(target) for target in targets]
    return next(
        names
        for n in count(1)
        if len(set(names := ["-".join(p[-n:]) for p in parts])) == len(names) or n > max(map(len, parts))
    )


def place_of(target: str) -> str:
    """A target as models.json has it: an absolute path, or a hub id."""
    return str(Path(target).resolve()) if Path(target).exists() else target


def write_index(out: Path, folders: Mapping[str, str]) -> None:
    """Adds subfolder -> target to models.json, in this order behind those that are there. Raises OSError, and what
    `require_own` does."""
    require_own(out, folders)
    known = _entries(out)
    places = {entry["folder"]: entry for entry in known}
    new = [{"folder": name, "target": place_of(t)} for name, t in folders.items() if name not in places]
    write_object(out / INDEX, {"format": FORMAT, "models": [*known, *new]})


def require_own(out: Path, folders: Mapping[str, str]) -> None:
    """Raises UsageError if a subfolder holds the scores of another target, Damaged for a changed models.json."""
    known = {entry["folder"]: entry["target"] for entry in _entries(out)}
    for name, target in folders.items():
        if known.get(name, place_of(target)) != place_of(target):
            raise UsageError(
                f"{out / name} holds the scores of another model, {known[name]}",
                hint="choose another folder with --out",
            )
        if name not in known and (out / name / "scores.json").exists():
            raise UsageError(f"{out / name} holds scores already", hint="choose another folder with --out")


def models_in(out: Path) -> list[Path]:
    """The subfolders that have scores, in the order of models.json; none if there is no such file. Raises Damaged."""
    folders = [out / entry["folder"] for entry in _entries(out)]
    return [folder for folder in folders if (folder / "scores.json").is_file()]


def _entries(out: Path) -> list[dict[str, Any]]:
    file = out / INDEX
    if not file.is_file():
        return []
    index = read_object(file)
    if index.get("format") != FORMAT:
        raise Damaged(
            f"{file} has the format {index.get('format')}, and this version reads {FORMAT}",
            file=file,
            hint="read it with the version that wrote it",
        )
    return list(index["models"])


def _parts(target: str) -> tuple[str, ...]:
    path = Path(target)
    if not path.exists():
        return (_UNSAFE.sub("_", target.replace("/", "--")),)
    whole = path.resolve()
    parts = [*whole.parent.parts[1:], whole.stem if whole.is_file() else whole.name]
    return tuple(_UNSAFE.sub("_", part) for part in parts if part not in _PASSED_OVER)
