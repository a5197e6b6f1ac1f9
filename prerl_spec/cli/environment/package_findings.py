"""Findings about installed packages, from their metadata; only our own component declarations are imported."""

from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement as Specifier

from prerl_spec.broken_metadata import broken_entry_points
from prerl_spec.cli.environment.machine_findings import Finding
from prerl_spec.compiler.estimates.prerequisites import NOT_INSTALLED, PIP_TRAIN, TRAIN, is_installed, package_state
from prerl_spec.registry.entry_points import installed, load
from prerl_spec.registry.kind_names import Kind

DISTRIBUTION = "prerl-spec"

ENGINES = ("vllm", "vllm-cpu")
"""The distributions that provide vLLM."""

OPTIONAL: tuple[tuple[Kind, str], ...] = (("sampler", "vllm"), ("adapter", "lora"))
"""Components whose packages are not dependencies of this distribution."""

HARMFUL_TO_CPU_ENGINE = ("torchvision", "torchaudio", "torchcodec")
"""vllm-cpu installs CUDA builds of these, whose import fails with a CPU build of torch."""


def package_findings() -> Iterator[Finding]:
    """The dependencies of this distribution, the packages of optional components, and the pins of vLLM."""
    try:
        required = [Specifier(line) for line in metadata.requires(DISTRIBUTION) or []]
        yield Finding(DISTRIBUTION, f"{metadata.version(DISTRIBUTION)} is installed")
    except metadata.PackageNotFoundError:
        yield Finding(DISTRIBUTION, NOT_INSTALLED, f"pip install '{TRAIN}'")
        return
    yield _train()
    for one in required:
        if one.marker is None or one.marker.evaluate({"extra": ""}) or _is_in_train(one):
            yield _package(one.name, f"{one.name}{one.specifier}", f"pip install '{one.name}{one.specifier}'")
    yield from _optional_packages()
    yield from engine_findings()
    yield from _broken_metadata()


def _broken_metadata() -> Iterator[Finding]:
    """Strangers whose entry points cannot be read: ignored by every command, but not by pip or by other programs."""
    for folder, why in broken_entry_points():
        yield Finding("entry points", f"{folder}: {why}", "reinstall or remove this distribution", optional=True)


def _train() -> Finding:
    met, found = package_state(TRAIN)
    return Finding(TRAIN, found, None if met else PIP_TRAIN)


def _is_in_train(one: Specifier) -> bool:
    """Whether it belongs to the extra and is installed, in any version; missing ones are reported once, for the extra."""
    return one.marker is not None and one.marker.evaluate({"extra": "train"}) and is_installed(one.name)


def _optional_packages() -> Iterator[Finding]:
    for kind, use in OPTIONAL:
        for provider in installed().providers(kind, use):
            for prerequisite in load(provider)().prerequisites():
                if prerequisite.what == "package":
                    yield _package(f"{kind} {use}", prerequisite.name, prerequisite.hint, optional=True)


def engine_findings() -> Iterator[Finding]:
    """vLLM pins torch exactly and caps transformers; an installation that violates a pin fails late and obscurely."""
    for engine in ENGINES:
        try:
            pinned = [Specifier(line) for line in metadata.requires(engine) or []]
        except metadata.PackageNotFoundError:
            continue
        for pin in pinned:
            if pin.name in ("torch", "transformers") and (pin.marker is None or pin.marker.evaluate({"extra": ""})):
                hint = f"pip install '{pin.name}{pin.specifier}'"
                yield _package(f"{pin.name} for {engine}", f"{pin.name}{pin.specifier}", hint, optional=True)
        if engine == "vllm-cpu" and (harmful := [name for name in HARMFUL_TO_CPU_ENGINE if _is_for_gpus(name)]):
            hint = f"pip uninstall -y {' '.join(harmful)}"
            yield Finding("import of vllm-cpu", f"fails with {', '.join(harmful)} installed", hint, optional=True)


def _is_for_gpus(name: str) -> bool:
    try:
        return "+cpu" not in metadata.version(name)
    except metadata.PackageNotFoundError:
        return False


def _package(what: str, specifier: str, hint: str, *, optional: bool = False) -> Finding:
    met, found = package_state(specifier)
    wanted = " or ".join(str(Specifier(one)) for one in specifier.split("|")) if optional else specifier
    return Finding(what, f"{found}; wanted {wanted}", None if met else hint, optional)
