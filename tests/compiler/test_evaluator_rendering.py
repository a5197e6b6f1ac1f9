"""A run of later phases alone renders the questions of its evaluators as the whole run does."""

from dataclasses import replace
from pathlib import Path

import pytest

from prerl_spec.compiler.compare.forked_spec import rendering_as_before
from prerl_spec.compiler.compile import compile_spec, require_valid
from prerl_spec.compiler.evaluator_rendering import default_rendering, rendered_as_in
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.render.write_resolved import resolved_toml
from prerl_spec.compiler.resolve.resolve import resolve, resolve_text
from prerl_spec.types import Rendering
from tests.engine.continued import HEAD, SECOND

DATA = """
[data.brief]
use = "jsonl"
path = "rows.jsonl"
system = "Be brief."
chat = "off"

[[evaluate]]
use = "lm_eval"
tasks = ["arithmetic_chains_easy"]
[[evaluate]]
use = "lm_eval"
tasks = ["arithmetic_chains_hard"]
system = "Mine."
[[evaluate]]
use = "holdout"
data = "train"
"""
ON_BRIEF = SECOND.replace('"refine"\n', '"first"\ndata = "brief"\n')


def said(plan: Plan) -> list[tuple[object, object]]:
    return [(e.component.settings.get("system"), e.component.settings.get("chat")) for e in plan.evaluators]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text('{"question": "1 + 1", "answer": "2"}\n' * 4)
    return tmp_path / "spec.toml"


@pytest.mark.parametrize(
    ("order", "default", "found"),
    [
        ((ON_BRIEF, SECOND), Rendering("off", "Be brief."), ("Be brief.", None)),
        ((SECOND, ON_BRIEF), Rendering("off"), ("", None)),
        ((SECOND, SECOND.replace('"refine"', '"last"')), Rendering("off"), (None, None)),
    ],
)
def test_evaluators_of_the_phases_left_are_told_what_those_of_all_phases_do(
    file: Path, order: tuple[str, str], default: Rendering, found: tuple[object, object]
) -> None:
    """An evaluator that says it itself, and one that renders by its own data, are left alone; as is every digest in which
    nothing differs."""
    file.write_text(HEAD + DATA + "".join(order))
    whole = compile_spec(file).plan
    assert replace(default_rendering(whole), template=None) == default
    left = replace(whole, phases=whole.phases[1:])
    assert said(replace(left, evaluators=rendered_as_in(whole, left))) == [found, ("Mine.", None), (None, None)]


def test_a_forks_spec_writes_what_its_evaluators_did_by_default(file: Path) -> None:
    file.write_text(HEAD + DATA + ON_BRIEF + SECOND)
    whole = compile_spec(file).plan
    file.write_text(HEAD + DATA + SECOND)
    left, _ = require_valid(resolve(file))
    rendering_as_before(left, whole)
    written, _ = require_valid(resolve_text(resolved_toml(left), str(file)))
    evaluators = [written.built[f"evaluate[{n}]"].component.settings() for n in range(3)]
    assert [e.get("system") for e in evaluators] == ["Be brief.", "Mine.", None]
