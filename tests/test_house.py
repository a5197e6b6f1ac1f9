"""The house: imports go one way, heavy packages stay in their rooms, and every built-in stands in the entry-point table."""

import ast
import tomllib
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "prerl_spec"
SHELF = ROOT / "components" / "prerl_components"

FLOORS = (
    "statistics",
    "codes",
    "errors",
    "situations",
    "json_lines",
    "autoload",
    "unasked_entry_points",
    "broken_metadata",
    "known_secrets",
    "process",
    "types",
    "questions",
    "templates",
    "text",
    "prompts",
    "vocabularies",
    "text_forms",
    "needs",
    "storage",
    "language",
    "registry",
    "views",
    "compiler",
    "engine",
    "evaluation",
    "report",
    "comparison",
    "study",
    "cli",
)
"""From the ground up: a room imports from its own floor and those below. `sdk` is the authors' door, `testing` their kit."""
READS_ALONE = {"report": ("evaluation", "prerl_spec.evaluation.scores")}
"""A room that knows another by what it has written, and imports nothing but the readers of it."""
HEAVY = {"torch", "transformers", "datasets", "vllm", "lm_eval", "accelerate", "peft", "math_verify", "safetensors"}
LIGHT_ROOMS = (
    "codes",
    "errors",
    "process",
    "types",
    "templates",
    "text",
    "prompts",
    "vocabularies",
    "text_forms",
    "sdk",
    "views",
    "language",
    "registry",
    "compiler",
    "report",
    "comparison",
    "study",
    "cli",
)


def _python_files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


@cache
def _imports(file: Path, *, nested: bool) -> set[str]:
    """Modules that a file imports, without those under TYPE_CHECKING; `nested` adds those inside functions."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                continue  # no statement stands in an expression, and most of a tree is expressions
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{file}: relative import"
                found.add(child.module or "")
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                for other in child.orelse:
                    visit(other)
            elif nested or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                visit(child)

    visit(ast.parse(file.read_text(encoding="utf-8")))
    return found


def _room(file: Path) -> str:
    return file.relative_to(CORE).parts[0].removesuffix(".py")


def _core_room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "prerl_spec" and len(parts) > 1 else None


def test_every_top_level_module_has_its_floor() -> None:
    rooms = {_room(file) for file in _python_files(CORE)} - {"__init__", "__main__", "sdk", "testing"}
    assert rooms == set(FLOORS)


@pytest.mark.parametrize("file", _python_files(CORE), ids=lambda f: str(f.relative_to(ROOT)))
def test_the_core_imports_downwards_only(file: Path) -> None:
    room = _room(file)
    if room not in FLOORS:
        return
    below = FLOORS[: FLOORS.index(room) + 1]
    for module in _imports(file, nested=True):
        target = _core_room(module)
        if target in FLOORS:
            assert target in below, f"{room} must not import {module}"
            of, readers = READS_ALONE.get(room, ("", ""))
            assert target != of or module.startswith(readers), f"{room} must not import {module}, only {readers}"


@pytest.mark.parametrize("file", _python_files(CORE), ids=lambda f: str(f.relative_to(ROOT)))
def test_the_core_never_imports_the_components(file: Path) -> None:
    assert not [m for m in _imports(file, nested=True) if m.startswith("prerl_components")]


@pytest.mark.parametrize("file", _python_files(CORE), ids=lambda f: str(f.relative_to(ROOT)))
def test_heavy_packages_are_imported_in_the_engine_and_the_evaluation_only(file: Path) -> None:
    if _room(file) in LIGHT_ROOMS:
        assert not {m.split(".")[0] for m in _imports(file, nested=False)} & HEAVY


@pytest.mark.parametrize("file", _python_files(SHELF), ids=lambda f: str(f.relative_to(ROOT)))
def test_components_know_the_core_by_its_one_door(file: Path) -> None:
    # The evaluators and the embedded sampler are built on the engine's own parts, by design of their kinds.
    allowed = ("prerl_spec.sdk", "prerl_spec.evaluation")
    for module in _imports(file, nested=True):
        if module.split(".")[0] == "prerl_spec":
            assert module.startswith(allowed), module


def test_the_installed_entry_points_are_those_of_pyproject() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    written = {(group, name, value) for group, entries in table.items() for name, value in entries.items()}
    installed = {
        (e.group, e.name, e.value) for e in distribution("prerl-spec").entry_points if e.group.startswith("prerl_spec.")
    }
    assert written == installed, "run `pip install -e .` again: the entry points have changed"
    for group, entries in table.items():
        assert list(entries) == sorted(entries), (
            f"{group}: packagers sort names, and suggestions follow the declaration"
        )


def test_every_component_class_stands_in_the_entry_point_table() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    listed = {value for entries in table.values() for value in entries.values()}
    for value in listed:
        module, _, name = value.partition(":")
        root = ROOT if module.startswith("prerl_spec.") else ROOT / "components"
        file = root / (module.replace(".", "/") + ".py")
        assert f"class {name}(" in file.read_text(encoding="utf-8"), value


def test_ci_runs_the_readmes_test_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [line for line in readme.splitlines() if "pytest" in line and ".venv" in line]
    assert len(commands) == 1
    assert commands[0].strip() in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", sorted((ROOT / "specs").glob("*.toml")), ids=lambda f: f.name)
def test_specs_begin_with_what_they_are_for(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert "#" in first
