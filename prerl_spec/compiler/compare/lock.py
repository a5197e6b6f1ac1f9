"""`SPEC.lock`: the meaning of a spec and the installed components, recorded for later comparison.

JSON with sorted keys, meant to be committed. Nothing in it depends on the machine: sources are identified by their path
relative to the spec, data by its content, components by hashes of their settings and code.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from prerl_spec.compiler.compare.code_hash import code_hash, settings_hash
from prerl_spec.compiler.compare.revisions import commits, hub_prerequisites, local_models
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.flat_meaning import by_id, leaves
from prerl_spec.compiler.resolve.resolved import Built, Resolved
from prerl_spec.errors import UsageError
from prerl_spec.situations import writing
from prerl_spec.storage.disk import write_whole

FORMAT = 1
COMMON = ("prerl-spec", "torch", "transformers", "tokenizers", "datasets", "lm-eval", "math-verify", "numpy")
"""Distributions on which every run depends; their versions are recorded."""


@dataclass(frozen=True)
class LockedComponent:
    """One component of the spec, as it was installed."""

    kind: str
    use: str
    distribution: str
    version: int
    """Behaviour version."""
    settings_schema: str
    implementation: str


@dataclass(frozen=True)
class Lock:
    """The lock of a spec. `meaning` holds the leaves that `digest` covers, so that differences can be reported."""

    digest: str
    meaning: Mapping[str, Any]
    sources: Mapping[str, str]
    """File, relative to the spec, or option of the command line -> SHA-256 of its text."""
    components: Mapping[str, LockedComponent]
    distributions: Mapping[str, str]
    revisions: Mapping[str, str]
    """`model NAME@REVISION` or `dataset NAME@REVISION` -> commit, or "unknown: why"."""
    folders: Mapping[str, str]
    """Local folder of a model -> SHA-256 of its content."""
    format: int = FORMAT

    def text(self) -> str:
        """The content of the lock file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def lock_file(spec: Path) -> Path:
    """Path of the lock of a spec, in the same folder."""
    return spec.with_name(f"{spec.name}.lock")


def make_lock(resolved: Resolved, plan: Plan, *, ask: bool) -> Lock:
    """Computes the lock of a spec without errors; `ask` allows requests to the hub for commits."""
    ids = [phase.id for phase in resolved.spec.phases]
    versions = {built.distribution: built.distribution_version for built in resolved.built.values()}
    return Lock(
        digest=plan.digest,
        meaning=leaves(plan),
        sources={_from(resolved.file.parent, name): _hash(text) for name, text in resolved.sources.items()},
        components={by_id(path, ids): _locked(built) for path, built in resolved.built.items()},
        distributions={**versions, **{name: _version(name) for name in COMMON}},
        revisions=commits(hub_prerequisites(plan), ask=ask),
        folders=local_models(plan),
    )


def read_lock(file: Path) -> Lock | None:
    """Reads a lock file, None if it does not exist. Raises UsageError for a file that is not a lock of this version."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}", hint="name another spec") from error
    try:
        lock = TypeAdapter(Lock).validate_json(text)
    except ValidationError as error:
        raise UsageError(f"{file} is not a lock file", hint="prerl-spec lock SPEC writes one") from error
    if lock.format != FORMAT:
        raise UsageError(
            f"{file} has format {lock.format}, supported is {FORMAT}", hint="prerl-spec lock SPEC writes one"
        )
    return lock


def write_lock(file: Path, lock: Lock) -> None:
    """Writes a lock file atomically. Raises UsageError or EnvironmentUnmet if it cannot be written."""
    with writing(file, "make its folder writable"):
        write_whole(file, lock.text())


def _locked(built: Built) -> LockedComponent:
    component = type(built.component)
    return LockedComponent(
        kind=built.kind,
        use=built.use,
        distribution=built.distribution,
        version=built.version,
        settings_schema=settings_hash(component),
        implementation=code_hash(component),
    )


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def _from(folder: Path, name: str) -> str:
    """A source's path relative to the spec's folder; a command-line option keeps its name."""
    return name if name.startswith("<") else Path(os.path.relpath(name, folder or Path())).as_posix()


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
