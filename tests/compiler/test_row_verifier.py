"""Gold answers have to suit the verifier that will judge responses to their questions."""

from pathlib import Path

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.graph import Graph
from prerl_spec.compiler.rules.row_verifier import data_in_use, row_verifier
from tests.engine.runs import SPEC


def graph_of(folder: Path, *, old: str = "", new: str = "", more: str = "") -> Graph:
    assert old in SPEC
    (folder / "spec.toml").write_text(SPEC.replace(old, new, 1) + more)
    return compile_spec(folder / "spec.toml").graph


HELDOUT = 'heldout = { use = "arithmetic_chains", part = "easy", steps = [1, 1] }'
TRAIN = 'train = { use = "arithmetic_chains", part = "easy", steps = [1, 1] }'
HOLDOUT = '\n[[evaluate]]\nuse = "holdout"\ndata = "heldout"\n'


def use_of(graph: Graph, name: str) -> str:
    return type(row_verifier(graph, name)).__name__


def test_the_top_levels_serves_where_nobody_brings_one(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, old=TRAIN, new=f"{TRAIN}\n{HELDOUT}", more=HOLDOUT)
    assert use_of(graph, "train") == "ExactMatch"
    assert use_of(graph, "heldout") == "ExactMatch"
    assert data_in_use(graph) == ("corpus", "train", "heldout")


def test_a_phases_own_verifier_reads_what_it_draws_from(tmp_path: Path) -> None:
    prompts = "prompts_per_step = 4"
    graph = graph_of(tmp_path, old=prompts, new=f'{prompts}\nverifier = "math_verify"')
    assert use_of(graph, "train") == "MathVerify"


def test_an_evaluators_own_verifier_reads_what_only_it_scores(tmp_path: Path) -> None:
    own = f'{HOLDOUT}verifier = "math_verify"\n'
    graph = graph_of(tmp_path, old=TRAIN, new=f"{TRAIN}\n{HELDOUT}", more=own)
    assert use_of(graph, "heldout") == "MathVerify"
    drawn = graph_of(tmp_path, more=own.replace("heldout", "train"))
    assert use_of(drawn, "train") == "ExactMatch"


def test_nothing_judges_documents_in_a_spec_without_a_verifier(tmp_path: Path) -> None:
    documents = SPEC[: SPEC.index('[[phases]]\nid = "prune"')].replace('verifier = "exact_match"\n', "")
    assert "verifier" not in documents
    (tmp_path / "spec.toml").write_text(documents)
    assert row_verifier(compile_spec(tmp_path / "spec.toml").graph, "corpus") is None
