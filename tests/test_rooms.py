"""The rooms: the order of each folder, its size, no circle of imports, and no import in a function but for weight."""

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

from prerl_spec.cli.main import COMMANDS, ROOM_OF
from tests.import_graph import PACKAGES, ROOT, Sources, circles, rooms
from tests.test_house import HEAVY

SOURCES = Sources.read()
GRAPH = SOURCES.graph()

ORDERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "prerl_components.objectives": (
        ("aggregation", "centring", "nothing", "other_words"),
        ("point",),
        ("wiring_rules",),
        ("gradient_objective", "token_losses"),
        ("policy_gradient", "presets", "weighted_sum"),
    ),
    "prerl_components.samplers": (
        ("shared",),
        ("embedded", "vllm_engine"),
        ("server",),
        ("transformers", "vllm", "vllm_server"),
    ),
    "prerl_components.verifiers": (
        ("boxed",),
        ("bounds", "exact_match"),
        ("gate",),
        ("written",),
        ("compared",),
        ("equality",),
        ("math_verify",),
    ),
    "prerl_spec.cli": (("shared",), ("authors", "environment", "results", "runs", "specs"), ("main",)),
    "prerl_spec.comparison": (
        ("equal_amounts", "scored_run"),
        ("arms", "conditions", "findings", "lineage"),
        ("metrics", "opening", "pairs"),
        ("alike", "study_folder", "track"),
        ("curves", "estimates", "remarks", "sides", "subjects"),
        ("claims", "differences"),
        ("compare",),
        ("written",),
        ("page",),
    ),
    "prerl_spec.compiler": (
        ("content_hash", "graph", "hardware", "objective_needs"),
        ("resolve",),
        ("plan", "rules"),
        ("build_graph", "estimates", "past_runs"),
        ("evaluator_rendering", "planning"),
        ("compile", "render"),
        ("compare",),
    ),
    "prerl_spec.compiler.resolve": (
        ("findings", "foreign", "near_phases", "required_versions"),
        ("unknown_names",),
        ("foreign_tables",),
        ("component_names",),
        ("foreign_homes", "foreign_keys", "secret_literals"),
        ("unknown_keys",),
        ("resolved", "settings_check"),
        ("resolve",),
    ),
    "prerl_spec.engine": (
        ("author_faults", "processes"),
        ("policy", "record", "verification"),
        ("batches", "training"),
        ("data_check", "run"),
        ("inspect",),
        ("torture",),
    ),
    "prerl_spec.engine.policy": (
        (
            "head",
            "long_positions",
            "norms",
            "rows",
            "tokenizer_files",
        ),
        (
            "flat_attention",
            "logprobs",
            "packing",
        ),
        ("decoder_layers",),
        (
            "parameter_layers",
            "sharding",
        ),
        ("forward",),
        ("policy",),
        (
            "batch_logprobs",
            "continuation_logps",
            "reference",
            "teachers",
            "weights",
        ),
        (
            "frozen_base",
            "policy_access",
        ),
        ("open_policy",),
    ),
    "prerl_spec.evaluation": (
        ("names", "scores"),
        ("packs",),
        ("protocols",),
        ("task_draws",),
        ("tasks", "installed"),
        ("harness",),
        ("conditions", "holdout", "kept_responses", "model_folders"),
        ("targets",),
        ("contamination", "like", "samplers"),
        ("score_target",),
    ),
    "prerl_spec.registry": (
        ("file_module", "kind_names", "kinds", "row_list"),
        ("component",),
        (
            "binary_verifier",
            "entry_points",
            "evaluator_settings",
            "kind_protocols",
            "nested_components",
            "objective_base",
            "probe_base",
            "part_bases",
            "reward_base",
            "sampler_settings",
            "schedule_base",
            "settings",
        ),
        ("author_code", "component_state"),
        ("local", "plugin_contract"),
    ),
    "prerl_spec.study": (
        ("amounts", "pairing", "scored_alike", "shared_phases"),
        ("study_plan",),
        ("changed_meaning", "match_rules", "readable_axes", "tasks"),
        ("compile_study", "study_folder"),
        ("check", "run_plans", "shell_lines", "state"),
        ("results",),
        ("detectable", "running"),
        ("overview",),
    ),
    "prerl_spec.report": (("formatting",), ("tables",), ("drawing",), ("page",), ("terminal",)),
    "prerl_spec.testing": (("steps", "tiny"), ("laws", "same_gradients"), ("conformance", "same_arms")),
}
"""Floors from the ground up. A room or file imports from the floors below its own; on one floor they stand side by side."""

MAX_FILES = 20

WEIGHTY = HEAVY | {"http", "latex2sympy2_extended", "pydantic", "scipy", "sympy"}
"""Packages that are slow to import, or not there at all where a spec is only validated."""


@pytest.mark.parametrize("folder", ORDERS)
def test_rooms_import_downwards_only(folder: str) -> None:
    order = ORDERS[folder]
    floor = {room: number for number, side_by_side in enumerate(order) for room in side_by_side}
    for room, targets in rooms(GRAPH, folder).items():
        for target in targets:
            assert floor[target] < floor[room], f"{folder}: {room} must not import {target}; the order is {order}"


@pytest.mark.parametrize("folder", ORDERS)
def test_every_room_and_file_has_its_floor(folder: str) -> None:
    assert sorted(room for floor in ORDERS[folder] for room in floor) == sorted(rooms(GRAPH, folder))


def test_every_folder_with_rooms_has_an_order() -> None:
    # The two packages themselves are held by test_house.FLOORS, and by the kinds, which do not know each other's order.
    folders = {SOURCES.folder(module) for module in SOURCES.files}
    with_rooms = {folder.rpartition(".")[0] for folder in folders if "." in folder}
    assert with_rooms - {package.name for package in PACKAGES} == set(ORDERS)


def test_no_circle_of_imports() -> None:
    # Imports in functions and under TYPE_CHECKING count: a circle that is only hidden is still one idea in several files.
    assert circles(GRAPH) == []


def test_no_folder_has_too_many_files() -> None:
    for folder in {SOURCES.folder(module) for module in SOURCES.files}:
        files = [m for m in SOURCES.files if SOURCES.folder(m) == folder and m != folder]
        assert len(files) <= MAX_FILES, f"{folder} has {len(files)} files: give it rooms"


def test_every_room_says_what_it_is_for() -> None:
    for module, file in SOURCES.files.items():
        if file.name == "__init__.py":
            assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), module


def _loaded_with(module: str) -> set[str]:
    """Packages of strangers that importing a module of ours imports on the way."""
    strangers: set[str] = set()
    seen = {module}
    waiting = [module]
    while waiting:
        for found in SOURCES.imports(waiting.pop()):
            if found.where != "file":
                continue
            if found.target not in SOURCES.files:
                strangers.add(found.target.split(".")[0])
            elif found.target not in seen:
                seen.add(found.target)
                waiting.append(found.target)
    return strangers


def _modules(names: Iterable[str]) -> list[str]:
    # A command's file is imported to read its options: what it needs is imported when it runs, so that --help is quick.
    return [name for name in names if not name.startswith("prerl_spec.cli.")]


@pytest.mark.parametrize("module", _modules(SOURCES.files))
def test_an_import_in_a_function_keeps_something_heavy_out(module: str) -> None:
    for found in SOURCES.imports(module):
        if found.where == "function" and found.target in SOURCES.files:
            kept_out = (_loaded_with(found.target) - _loaded_with(module)) & WEIGHTY
            assert kept_out, f"{module}, line {found.line}: {found.target} loads nothing heavy, import it at the top"


def test_every_command_stands_in_the_room_that_main_looks_in() -> None:
    assert sorted(ROOM_OF) == sorted(COMMANDS)
    for name, room in ROOM_OF.items():
        assert (Path(ROOT) / "prerl_spec" / "cli" / room / f"{name.replace('-', '_')}.py").is_file(), name
