"""The type check sees a mistake at the boundary between engine and component: each of these is planted and must be found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MISTAKES = {
    "a misspelt method of a sampler": (
        "engine/run/open_samplers.py",
        "component.open(self._site)",
        "component.opened(self._site)",
        '"Sampler" has no attribute "opened"',
    ),
    "a schedule asked with one argument too many": (
        "engine/run/run_loop.py",
        "schedule.after(record, ",
        "schedule.after(record, None, ",
        'Too many arguments for "after" of "Schedule"',
    ),
    "an optimizer passed as an objective": (
        "engine/run/phase_runner.py",
        "phase.objective.component,\n            phase.updates_per_batch",
        "phase.optimizer.component,\n            phase.updates_per_batch",
        'has incompatible type "Optimizer"; expected "Objective"',
    ),
    "a capability that no sampler declares": (
        "engine/run/open_samplers.py",
        "named.component.own_weights",
        "named.component.has_weights",
        '"Sampler" has no attribute "has_weights"',
    ),
    "a credit asked for the updates instead of the batch": (
        "engine/training/minibatch.py",
        "part.credits(batch, updates)",
        "part.credits(updates, updates)",
        'Argument 1 to "credits" of "Objective" has incompatible type "Sequence',
    ),
    "a misspelt method of an optimizer": (
        "engine/training/updater.py",
        "optimizer.build(named_parameters)",
        "optimizer.biuld(named_parameters)",
        '"Optimizer" has no attribute "biuld"',
    ),
    "a misspelt setting of a schedule, where a phase is planned": (
        "compiler/planning/phase_plan.py",
        "roles.schedule.planned.optimizer",
        "roles.schedule.planned.optimiser",
        '"Schedule" has no attribute "optimiser"',
    ),
    "a sampler's setting asked of an evaluator, where its tokens are planned": (
        "compiler/planning/evaluation_plan.py",
        "questions * evaluator.samples",
        "questions * evaluator.group_size",
        '"Evaluator" has no attribute "group_size"',
    ),
    "a misspelt member of the own verifier of data, where rows are checked": (
        "compiler/planning/row_rules.py",
        'verifier.check_gold("")',
        'verifier.check_answer("")',
        'has no attribute "check_answer"',
    ),
    "a misspelt member of a model, where a run is planned": (
        "compiler/planning/planner.py",
        "served_model(resolved).planned.dtype",
        "served_model(resolved).planned.d_type",
        '"Model" has no attribute "d_type"',
    ),
    "a rule between components that reads a misspelt member": (
        "compiler/rules/phase_rules.py",
        "schedule.max_steps is not None",
        "schedule.max_step is not None",
        '"Schedule" has no attribute "max_step"',
    ),
    "a component's own rule that reads a misspelt member of its neighbour": (
        "registry/sampler_settings.py",
        "wiring.objective.uses_rollouts",
        "wiring.objective.samples",
        '"Objective" has no attribute "samples"',
    ),
    "a probe that is asked for its steps": (
        "engine/run/phase_runner.py",
        "named.component.every == 0",
        "named.component.steps == 0",
        '"Probe" has no attribute "steps"',
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_can_be_planted_at_exactly_one_place(mistake: str) -> None:
    file, before, *_ = MISTAKES[mistake]
    text = (ROOT / "prerl_spec" / file).read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{file}: {before!r} occurs {text.count(before)} times"


@pytest.mark.slow
def test_mypy_finds_every_planted_mistake(tmp_path: Path) -> None:
    for folder in ("prerl_spec", "components"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, before, after, _ in MISTAKES.values():
        planted = tmp_path / "prerl_spec" / file
        planted.write_text(planted.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    missed = [mistake for mistake, (*_, message) in MISTAKES.items() if message not in found.stdout]
    assert not missed, f"not found: {missed}\n{found.stdout[-3000:]}"
