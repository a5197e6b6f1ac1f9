"""An installed distribution that hooks itself into torch, pydantic and others is not imported, whatever a command loads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prerl_spec.autoload import OFF, autoload_nothing

GROUPS = {
    "torch.backends": "canary",
    "pydantic": "canary",
    "networkx.backends": "canary",
    "networkx.backend_info": "canary",
    "numba_extensions": "init",
    "opentelemetry_context": "contextvars_context",
    "opentelemetry_propagator": "tracecontext",
    "fsspec.specs": "file",
    "vllm.general_plugins": "canary",
    "vllm.platform_plugins": "canary",
    "vllm.logits_processors": "canary",
    "triton.backends": "canary",
    "tensorboard_plugins": "canary",
    "torch_dynamo_backends": "canary",
    "prerl_spec.objective": "canary.one",
    "prerl_spec.verifier": "exact_match",
}
"""Group of entry points -> the name that the canary takes in it; some are names of the library itself."""

HERE = Path(__file__).parents[1]
SPEC = HERE / "specs" / "smoke.toml"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A distribution with one module for each group, which writes the group's name into the file `sung` once imported."""
    folder = tmp_path / "installed"
    package, metadata = folder / "canary", folder / "canary-1.0.dist-info"
    package.mkdir(parents=True)
    metadata.mkdir()
    (package / "__init__.py").touch()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: canary\nVersion: 1.0\n")
    lines = [f"[{group}]\n{name} = canary.{module_of(group)}:sing\n" for group, name in GROUPS.items()]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    for group in GROUPS:
        text = (
            f"with open({str(tmp_path / 'sung')!r}, 'a') as file: file.write('{group}\\n')\ndef sing(*_): return {{}}\n"
        )
        (package / f"{module_of(group)}.py").write_text(text)
    return folder


def module_of(group: str) -> str:
    return group.replace(".", "_")


def called(canary: Path, *line: str, **variables: str) -> str:
    """Runs Python with the canary installed; what sang, in order."""
    environment = {k: v for k, v in os.environ.items() if k not in OFF} | {"PYTHONPATH": path_with(canary), **variables}
    done = subprocess.run(
        [sys.executable, "-P", *line], env=environment, capture_output=True, text=True, cwd=canary.parent, timeout=300
    )
    assert done.returncode == 0, done.stderr
    sung = canary.parent / "sung"
    return sung.read_text() if sung.exists() else ""


def path_with(canary: Path) -> str:
    return os.pathsep.join([str(canary), *(p for p in sys.path if p), str(HERE), str(HERE / "components")])


LIBRARIES = """
import {first}
from prerl_spec.broken_metadata import tolerate_broken_entry_points
tolerate_broken_entry_points()
import torch, pydantic, networkx, fsspec
class Model(pydantic.BaseModel): x: int
fsspec.filesystem("file")
"""


def test_libraries_import_no_strangers_plugin(canary: Path) -> None:
    assert called(canary, "-c", LIBRARIES.format(first="prerl_spec")) == ""


def test_a_variable_that_the_user_has_set_stands(canary: Path) -> None:
    text = "import prerl_spec, torch"
    assert called(canary, "-c", text, TORCH_DEVICE_BACKEND_AUTOLOAD="1") == "torch.backends\n"
    given = {"VLLM_PLUGINS": "mine"}
    autoload_nothing(given)
    assert given == {**OFF, "VLLM_PLUGINS": "mine"}


@pytest.mark.parametrize(
    "command", ["plan", *(pytest.param(c, marks=pytest.mark.slow) for c in ("validate", "components list", "doctor"))]
)
def test_light_commands_import_no_strangers_plugin(command: str, canary: Path) -> None:
    word, *more = command.split()
    spec = [str(SPEC)] if word in ("validate", "plan") else []
    assert called(canary, "-m", "prerl_spec", word, *more, *spec) == ""


@pytest.mark.slow
def test_a_run_in_two_processes_imports_no_strangers_plugin(canary: Path) -> None:
    """Ranks, verifier workers, lm-eval, tensorboard; then a report and an evaluation of what came out."""
    sets = [
        "run.output_dir=" + str(canary.parent / "runs"),
        'trackers=["tensorboard"]',
        'verifier="math_verify"',
    ]
    options = [word for text in sets for word in ("--set", text)]
    assert called(canary, "-m", "prerl_spec", "run", str(SPEC), "--processes", "2", *options) == ""
    (run,) = (canary.parent / "runs").iterdir()
    assert called(canary, "-m", "prerl_spec", "report", str(run)) == ""
    tasks = ["--tasks", "arithmetic_chains_easy", "--limit", "2", "--max-new-tokens", "4"]
    assert called(canary, "-m", "prerl_spec", "eval", str(run), *tasks) == ""
