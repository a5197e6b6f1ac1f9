"""Reads the YAML files of our own benchmarks: what lm-eval needs of a task, and what is known about its rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from prerl_spec.evaluation.packs.columns import Columns

FOLDER = Path(__file__).parent
_SAMPLING = ("repeats",)
"""Keys of a task's YAML that say how it is sampled: here the evaluator says that."""


@dataclass(frozen=True)
class Pack:
    """One benchmark of ours.

    `config` is what lm-eval builds the task from; sampling is not part of it, the task's hash does not hang on it.
    `sampling` is what the YAML says about decoding and `repeats`; `protocol` is the protocol by which its scores are usually
    stated. `hub` is None where the rows are generated. `content` is a hash of the rows, "unknown" where nobody has fetched
    them, and `checked` says how its source is known to exist.
    """

    name: str
    title: str
    config: Mapping[str, Any]
    sampling: Mapping[str, Any]
    columns: Columns
    rows: int
    split: str
    source: str
    licence: str
    hub: str | None = None
    hub_name: str | None = None
    revision: str = "main"
    content: str = "unknown"
    published: str = "unknown"
    checked: str = ""
    protocol: str = "off"


@cache
def packs() -> Mapping[str, Pack]:
    """Every benchmark of ours, by name, in alphabetical order."""
    return {pack.name: pack for pack in map(_read, sorted(FOLDER.glob("*.yaml")))}


def own_tasks() -> dict[str, dict[str, Any]]:
    """The configurations of our benchmarks, by name, as lm-eval takes them."""
    return {name: dict(pack.config) for name, pack in packs().items()}


def _read(file: Path) -> Pack:
    import yaml

    text = file.read_text(encoding="utf-8")
    tree = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    known = tree["metadata"]
    columns = known.get("columns", {})
    kwargs = tree["generation_kwargs"]
    config = {key: value for key, value in tree.items() if key not in _SAMPLING}
    return Pack(
        name=tree["task"],
        title=text.splitlines()[0].removeprefix("# "),
        config={**config, "generation_kwargs": {"until": kwargs["until"]}, "metadata": {"version": known["version"]}},
        sampling={**kwargs, "repeats": tree.get("repeats", 1)},
        columns=Columns(**{**columns, "wrong": tuple(columns.get("wrong", ()))}),
        rows=known["rows"],
        split=tree["test_split"],
        source=known["source"],
        licence=known["licence"],
        hub=tree.get("dataset_path"),
        hub_name=tree.get("dataset_name"),
        **{key: known[key] for key in ("revision", "content", "published", "checked", "protocol") if key in known},
    )
