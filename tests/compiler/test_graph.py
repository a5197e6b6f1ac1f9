"""The built graph, and its drawing."""

from dataclasses import replace
from pathlib import Path

import pytest

from prerl_spec.compiler.build_graph import build_graph
from prerl_spec.compiler.compile import Compiled, check_spec, compile_spec, read_plan
from prerl_spec.compiler.render.draw_graph import draw
from prerl_spec.errors import Drift, EnvironmentUnmet, UsageError
from tests.compiler.specs import TINY, bent, written


def compiled(folder: Path, text: str = TINY) -> Compiled:
    return compile_spec(written(folder, text))


def test_each_phase_has_its_own_component_else_the_top_level_one(tmp_path: Path) -> None:
    pretrain, prune, refine = compiled(tmp_path).graph.phases
    assert (pretrain.optimizer.use, prune.optimizer.use, refine.optimizer.use) == ("muon", "adamw", "adamw")
    assert prune.sampler is not None
    assert prune.sampler.component.group_size == 4
    assert refine.objective.use == "grpo"


def test_a_phase_that_samples_nothing_has_no_sampler_and_no_verifier(tmp_path: Path) -> None:
    graph = compiled(tmp_path).graph
    pretrain = graph.phases[0]
    assert (pretrain.sampler, pretrain.verifier, pretrain.prompts_per_step, pretrain.documents_per_step) == (
        None,
        None,
        None,
        32,
    )
    assert graph.sampler is not None


def test_an_empty_list_of_a_phase_replaces_the_top_level_one(tmp_path: Path) -> None:
    text = bent(
        ("[optimizer]", '[[filters]]\nuse = "mixed_groups"\n[optimizer]'),
        ('id = "prune"', 'id = "prune"\nfilters = []'),
    )
    assert [len(p.filters) for p in compiled(tmp_path, text).graph.phases] == [0, 0, 1]


def test_a_mixture_is_normalised(tmp_path: Path) -> None:
    text = bent(('id = "prune"', 'id = "prune"\ndata = { train = 3.0, easy = 1.0 }'))
    assert compiled(tmp_path, text).graph.phases[1].data == {"train": 0.75, "easy": 0.25}


def test_the_graph_carries_the_plan_and_the_spec_as_given(tmp_path: Path) -> None:
    found = compiled(tmp_path)
    assert found.graph.plan == found.plan.as_json()
    assert found.graph.digest == found.plan.digest
    assert found.graph.spec_text == TINY
    assert found.graph.checkpoint.every == 10
    assert found.graph.run.output_dir == Path("runs")


def test_a_data_set_may_have_any_name_that_toml_allows(tmp_path: Path) -> None:
    text = bent(("[data.easy]", '[data."my. set"]'), ('data = "easy"', 'data = "my. set"'))
    found = compiled(tmp_path, text)
    assert found.graph.data["my. set"].use == "arithmetic_chains"
    resolved = check_spec(tmp_path / "spec.toml")[0]
    assert "data_my__set" in {node.id for node in draw(resolved).nodes}


def test_the_drawing_joins_every_node(tmp_path: Path) -> None:
    drawing = draw(check_spec(written(tmp_path, TINY))[0])
    ids = {n.id for n in drawing.nodes}
    ends = {end for e in drawing.edges for end in (e.source, e.target)}
    assert ends <= ids
    assert ids - ends == {"data_easy"}  # the evaluator reads it by name
    assert ("prune_verifier", "prune_objective", "reward[binary]") in {
        (e.source, e.target, e.carries) for e in drawing.edges
    }
    assert ("prune_optimizer", "refine_optimizer", "weights and moments") in {
        (e.source, e.target, e.carries) for e in drawing.edges
    }
    assert drawing.as_mermaid().startswith("flowchart LR\n")


def test_a_graph_of_a_plan_holds_the_components_that_the_spec_built(tmp_path: Path) -> None:
    text = bent(('use = "grpo"', 'use = "weighted_sum"\nterms = ["grpo", { use = "kl", coefficient = 0.5 }]'))
    built = check_spec(written(tmp_path, text))[0].built
    graph = compiled(tmp_path, text).graph
    assert graph.model.component == built["model"].component
    assert {name: d.component for name, d in graph.data.items()} == {
        n: built[f"data.{n}"].component for n in graph.data
    }
    for number, phase in enumerate(graph.phases):
        assert phase.objective.component == built[f"phases[{number}].objective"].component
        assert phase.schedule.component == built[f"phases[{number}].schedule"].component
    assert graph.evaluators[0].component == built["evaluate[0]"].component


def test_a_written_plan_compiles_to_the_same_graph(tmp_path: Path) -> None:
    first = compiled(tmp_path)
    (tmp_path / "plan.json").write_text(first.plan.text())
    assert compile_spec(tmp_path / "plan.json").graph == first.graph
    with pytest.raises(UsageError, match="runs unchanged"):
        compile_spec(tmp_path / "plan.json", sets=["run.seed=9"])


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 1}'])
def test_a_file_that_is_no_plan_is_a_usage_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(UsageError, match="not a plan file"):
        read_plan(tmp_path / "plan.json")


def test_a_plan_whose_data_has_changed_is_drift(tmp_path: Path) -> None:
    rows = ('[data.train]\nuse = "arithmetic_chains"', '[data.train]\nuse = "jsonl"\npath = "rows.jsonl"')
    (tmp_path / "rows.jsonl").write_text('{"question": "a", "answer": "1"}\n' * 9)
    (tmp_path / "plan.json").write_text(compiled(tmp_path, bent(rows)).plan.text())
    (tmp_path / "rows.jsonl").write_text('{"question": "b", "answer": "1"}\n' * 9)
    with pytest.raises(Drift, match="data set `train`"):
        compile_spec(tmp_path / "plan.json")


def test_a_plan_of_another_behaviour_version_is_drift(tmp_path: Path) -> None:
    plan = compiled(tmp_path).plan
    with pytest.raises(Drift, match="behaviour version 7"):
        build_graph(replace(plan, model=replace(plan.model, version=7)), "")


def test_a_plan_with_a_component_that_is_not_installed_says_what_to_install(tmp_path: Path) -> None:
    plan = compiled(tmp_path).plan
    with pytest.raises(EnvironmentUnmet, match="acme") as unmet:
        build_graph(replace(plan, model=replace(plan.model, distribution="acme")), "")
    assert unmet.value.hint == "pip install 'acme==0.1.0'"
