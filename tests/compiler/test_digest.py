"""The digest covers meaning: everything in this table either changes it or must not."""

from pathlib import Path

import pytest

from prerl_spec.compiler.compare.comparison_side import FOUND_OUT
from prerl_spec.compiler.compile import check_spec, compile_spec, read_plan
from prerl_spec.compiler.graph import Cut
from prerl_spec.compiler.hardware import Gpu, Hardware
from prerl_spec.compiler.planning.cut import with_cut
from prerl_spec.compiler.planning.flat_meaning import differing, leaves, shown_value
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.render.write_resolved import resolved_toml
from tests.compiler.specs import TINY, bent, written

ROWS = ('[data.train]\nuse = "arithmetic_chains"', '[data.train]\nuse = "jsonl"\npath = "rows.jsonl"')
VLLM = ('use = "transformers"', 'use = "vllm"\nengine = { gpu_memory_utilization = 0.5 }')

SAME = {
    "output folder": bent(('output_dir = "runs"', 'output_dir = "elsewhere"')),
    "checkpoints": bent(("every = 10", "every = 5\nkeep = 9")),
    "trackers": bent(("[optimizer]", '[[trackers]]\nuse = "tensorboard"\n[optimizer]')),
    "processes and strategy": bent(("[optimizer]", '[distributed]\nprocesses = 2\nstrategy = "fsdp2"\n[optimizer]')),
    "precision, as it is by default": bent(("[optimizer]", '[distributed]\nprecision = "float32"\n[optimizer]')),
    "streams, as they are by default": bent(("seed = 3", 'seed = 3\nstreams = "global"')),
    "a default, written": bent(("group_size = 4", "group_size = 4\ntemperature = 1.0")),
    "a comment": "# hello\n" + TINY,
    "short and long form": bent(
        ('[verifier]\nuse = "exact_match"\n', ""), ("spec = 1\n", 'spec = 1\nverifier = "exact_match"\n')
    ),
    "a version guard": bent(("[run]", '[requires]\nprerl-spec = ">=0.1"\n[run]')),
}
OTHER = {
    "seed": bent(("seed = 3", "seed = 4")),
    "model": bent(("intermediate_size = 256", "intermediate_size = 255")),
    "model dtype": bent(('tokenizer = "data:corpus"', 'tokenizer = "data:corpus"\ndtype = "bfloat16"')),
    "data": bent(('part = "easy"', 'part = "hard"')),
    "sampler": bent(("max_new_tokens = 60", "max_new_tokens = 61")),
    "verifier": bent(('use = "exact_match"', 'use = "exact_match"\nignore_case = true')),
    "learning rate": bent(("lr = 1e-4", "lr = 2e-4")),
    "objective": bent(("coefficient = 0.01", "coefficient = 0.02")),
    "steps": bent(("steps = 7", "steps = 8")),
    "hand-over": bent(("steps = 5", 'steps = 5\noptimizer = "reset"')),
    "updates a batch": bent(("updates_per_batch = 2", "updates_per_batch = 3")),
    "a written tokens_per_pass": bent(('id = "prune"', 'id = "prune"\ntokens_per_pass = 512')),
    "evaluation": bent(("limit = 10", "limit = 11")),
    "determinism": bent(("[optimizer]", '[distributed]\ndeterminism = "invariant"\n[optimizer]')),
    "precision": bent(("[optimizer]", '[distributed]\nprecision = "bfloat16"\n[optimizer]')),
    "name": bent(('name = "tiny"', 'name = "other"')),
    "streams": bent(("seed = 3", 'seed = 3\nstreams = "phase"')),
    "seed of the weights": bent(('tokenizer = "data:corpus"', 'tokenizer = "data:corpus"\nseed = 3')),
    "order of phases": bent(('id = "refine"', 'id = "refine"\nafter = "pretrain"')),
}


def digest(folder: Path, text: str = TINY, hardware: Hardware | None = None) -> str:
    resolved, _ = check_spec(written(folder, text))
    return make_plan(resolved, hardware).digest


def test_a_cut_has_a_digest_of_its_own_and_a_plan_without_one_says_nothing_of_it(tmp_path: Path) -> None:
    plan = make_plan(check_spec(written(tmp_path, TINY))[0])
    cut = with_cut(plan, Cut("steps", 12))
    assert len({plan.digest, cut.digest, with_cut(plan, Cut("steps", 13)).digest}) == 3
    assert with_cut(cut, None).text() == plan.text()
    assert "cut" not in plan.as_json()
    (tmp_path / "plan.json").write_text(cut.text())
    assert read_plan(tmp_path / "plan.json") == cut, "12 and 12.0 are one budget"


@pytest.fixture(scope="module")
def unbent(tmp_path_factory: pytest.TempPathFactory) -> str:
    return digest(tmp_path_factory.mktemp("unbent"))


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_what_means_the_same_has_the_same_digest(tmp_path: Path, text: str, unbent: str) -> None:
    assert digest(tmp_path, text) == unbent


@pytest.mark.parametrize("text", OTHER.values(), ids=OTHER)
def test_what_means_something_else_has_another_digest(tmp_path: Path, text: str, unbent: str) -> None:
    assert digest(tmp_path, text) != unbent


def test_another_machine_and_another_folder_have_the_same_digest(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rows.jsonl").write_text('{"question": "a", "answer": "1"}\n' * 9)
    gpu = Hardware(64, 1 << 40, (Gpu("H100", 80 << 30),))
    assert digest(tmp_path / "here", bent(ROWS)) == digest(tmp_path / "there", bent(ROWS), gpu)


def test_a_changed_row_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"question": "a", "answer": "1"}\n' * 9)
    before = digest(tmp_path, bent(ROWS))
    (tmp_path / "rows.jsonl").write_text('{"question": "b", "answer": "1"}\n' * 9)
    assert digest(tmp_path, bent(ROWS)) != before


def test_a_table_handed_on_to_an_engine_is_no_meaning(tmp_path: Path) -> None:
    other = bent((VLLM[0], VLLM[1].replace("0.5", "0.7")))
    assert digest(tmp_path, bent(VLLM)) == digest(tmp_path, other)


def test_the_resolved_spec_is_a_spec_of_the_same_digest(tmp_path: Path, unbent: str) -> None:
    resolved, _ = check_spec(written(tmp_path, TINY))
    assert digest(tmp_path, resolved_toml(resolved)) == unbent


def test_a_resolved_spec_says_again_what_composition_merged_and_references_stood_for(tmp_path: Path) -> None:
    merged = bent(('use = "exact_match"', "ignore_case = true"), ("seed = 3", 'seed = "${vars.seed}"'))
    parent = written(tmp_path, 'verifier = "exact_match"\ndata.easy.use = "arithmetic_chains"\n', "parent.toml")
    text = f'extends = ["{parent.name}"]\nvars.seed = 3\n{merged}'
    resolved, _ = check_spec(written(tmp_path, text))
    again = resolved_toml(resolved)
    assert 'use = "exact_match"' in again
    assert "vars" not in again
    assert digest(tmp_path, again) == digest(tmp_path, text)
    assert resolved.origins["verifier.use"].endswith("parent.toml:1")


def test_a_resolved_text_that_reads_like_a_reference_is_none(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"question": "a", "answer": "1"}\n' * 9)
    text = bent((ROWS[0], ROWS[1] + '\nsystem = "$${x}\\u007f"'))
    resolved, _ = check_spec(written(tmp_path, text))
    assert digest(tmp_path, resolved_toml(resolved)) == digest(tmp_path, text)


TOLD_ELSEWHERE = {"order of phases", "learning rate"}
"""What `after` decides, and what each phase inherits from an optimizer of all: told by phase, which has no such table."""


@pytest.mark.parametrize("text", [t for name, t in OTHER.items() if name not in TOLD_ELSEWHERE])
def test_a_difference_is_told_as_one_would_set_it(text: str, tmp_path: Path) -> None:
    before, after = (compile_spec(written(tmp_path, t)).plan for t in (TINY, text))
    found = differing(leaves(before), leaves(after))
    sets = [f"{path}={shown_value(new)}" for path, _, new in found if path.rpartition(".")[2] not in FOUND_OUT]
    assert sets
    again, _ = check_spec(written(tmp_path, TINY), sets=sets)
    assert make_plan(again).digest == after.digest


def test_the_same_meaning_has_no_differences(tmp_path: Path) -> None:
    before, after = (leaves(compile_spec(written(tmp_path, t)).plan) for t in (TINY, SAME["short and long form"]))
    assert differing(before, after) == ()
