"""What plan, lock, schema and the rules say of a teacher: a second model, inside a phase's objective."""

import json
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.cli import main as cli
from prerl_spec.compiler.compare.revisions import hub_prerequisites
from prerl_spec.compiler.compile import check_spec, compile_spec, require_met
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.past_runs.model_files import FILES, hash_model_files, model_folders, require_same_model_files
from prerl_spec.compiler.plan import PhasePlan, Plan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.render.draw_graph import draw
from prerl_spec.compiler.render.schema import spec_schema
from prerl_spec.compiler.render.write_resolved import resolved_toml
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.errors import Drift, EnvironmentUnmet
from prerl_spec.registry.entry_points import installed
from prerl_spec.testing.tiny import save_tiny
from tests.compiler.specs import bent, found_in, written
from tests.run_files import write_object

CONFIG = """{ model_type = "qwen3", hidden_size = 64, num_hidden_layers = 2, num_attention_heads = 2, \
num_key_value_heads = 1, head_dim = 32, intermediate_size = 128, tie_word_embeddings = true }"""
OWN = ('[phases.objective]\nuse = "grpo"\n', "")


def with_teachers(*teachers: str, beside: str = '"grpo"') -> str:
    """The last phase learns from these, each a table of settings."""
    terms = ", ".join(f'{{ use = "distill", teacher = {{ {settings} }} }}' for settings in teachers)
    before, after = OWN
    return bent((before, f'[phases.objective]\nuse = "weighted_sum"\nterms = [{beside}, {terms}]\n{after}'))


def scratch(more: str = "", tokenizer: str = "data:corpus") -> str:
    return f'use = "from_scratch", config = {CONFIG}, tokenizer = "{tokenizer}"{more}'


def planned(text: str) -> Plan:
    return make_plan(resolve_text(text), Hardware(2, 16 << 30))


def refine(text: str) -> PhasePlan:
    return planned(text).phases[2]


def test_every_teacher_takes_its_own_bytes_once_and_its_forwards() -> None:
    alone, taught = refine(bent()), refine(with_teachers(scratch(), scratch(), scratch(', dtype = "bfloat16"')))
    assert alone.cost is not None
    assert taught.cost is not None
    plan = planned(with_teachers(scratch()))
    (note,) = (note for note in plan.notes if "teacher" in note)
    number = int(note.split("(")[1].split(" ")[0].replace(",", ""))
    assert taught.cost.memory_bytes["teachers"] == 4 * number + 2 * number
    scoring = [f for f in taught.forwards if f.teacher is not None]
    assert [(f.view, f.of, f.gradient, f.samples) for f in scoring] == [
        ("conditional", "teacher FromScratch", False, 24),
        ("conditional", "teacher FromScratch", False, 24),
    ]
    assert len({f.teacher for f in scoring}) == 2
    assert taught.example is not None
    # A group's prompt once.
    tokens = 6 * round(taught.example.mean_context_tokens) + 24 * 60
    more = (taught.cost.teraflop_per_step - alone.cost.teraflop_per_step) * 1e12
    assert more == pytest.approx(2 * 2 * number * tokens, rel=1e-9)


def test_a_teacher_is_in_memory_in_every_phase_and_shards_with_the_policy() -> None:
    text = with_teachers(scratch())
    whole = [phase.cost.memory_bytes["teachers"] for phase in planned(text).phases if phase.cost is not None]
    assert len(set(whole)) == 1
    assert len(whole) == 3
    sharded = f'{text}[distributed]\nstrategy = "fsdp2"\nprocesses = 2\n'
    cost = refine(sharded).cost
    assert cost is not None
    assert cost.memory_bytes["teachers"] == whole[0] // 2


def test_a_teacher_on_the_hub_is_a_need_with_its_place_and_the_rest_is_unknown() -> None:
    plan = planned(with_teachers('use = "hf_causal", name = "acme/no-such-model"'))
    needs = {(n.what, n.name): n for n in plan.prerequisites}
    place = "phases[2].objective.terms[1].teacher"
    assert needs["model", "acme/no-such-model"].by == (place,)
    vocabulary = needs["tokenizer", "of acme/no-such-model"]
    assert (vocabulary.met, vocabulary.by) == (None, (place,))
    assert vocabulary.found == (
        "unknown: the tokenizer of acme/no-such-model is not on this machine; compared when a run starts"
    )
    assert plan.phases[2].cost_unknown == (
        "the size of the teacher acme/no-such-model is unknown: config.json of acme/no-such-model is not on this machine"
    )
    assert "tokenizer" not in {need.what for need in plan.unmet}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in ("student", "teacher", "foreign"):
        save_tiny(folder / name)
    file = folder / "foreign" / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    tokenizer["added_tokens"][1]["content"] = "<|other|>"
    file.write_text(json.dumps(tokenizer))
    return folder


def local(models: Path, teacher: str, name: str = "small") -> str:
    return f"""spec = 1
run = {{ name = "{name}", output_dir = "runs" }}
model = {{ use = "hf_causal", name = "{models}/student" }}
data.train = {{ use = "arithmetic_chains", steps = [1, 1] }}
sampler = {{ use = "transformers", group_size = 2, max_new_tokens = 8 }}
verifier = "exact_match"
optimizer = {{ use = "adamw", lr = 1e-3 }}
[[phases]]
id = "only"
prompts_per_step = 2
schedule = {{ use = "fixed_steps", steps = 1 }}
[phases.objective]
use = "distill"
[phases.objective.teacher]
use = "hf_causal"
name = "{models}/{teacher}"
"""


def test_a_local_tokenizer_that_differs_is_seen_by_plan_and_stops_a_run(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    good, bad = (written(tmp_path, local(models, name), f"{name}.toml") for name in ("teacher", "foreign"))
    assert cli.main(["plan", str(good)]) == 0
    assert f"met          tokenizer of {models}/teacher" in capsys.readouterr().out
    assert cli.main(["plan", str(bad), "--out", "plan.json"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "has token 257" not in page
    assert "its token 257 is '<|other|>', not '<|im_start|>'" in page
    assert "a run cannot start here: 1 need not met" in page
    for given in (bad, tmp_path / "plan.json"):
        assert cli.main(["run", str(given)]) == 3
        assert "its token 257 is '<|other|>'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    require_met(compile_spec(good).plan)
    with pytest.raises(EnvironmentUnmet, match="tokenizer of"):
        require_met(compile_spec(bad).plan)


def test_a_teacher_is_part_of_the_meaning(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = written(tmp_path, local(models, "teacher"), "one.toml")
    other = written(tmp_path, local(models, "teacher") + 'dtype = "bfloat16"\n', "other.toml")
    plans = [compile_spec(file).plan for file in (one, other)]
    assert plans[0].digest != plans[1].digest
    assert f"{plans[1].num_parameters:,} parameters, bfloat16" in " ".join(plans[1].notes)
    assert model_folders(plans[0]) == {f"{models}/student": True, f"{models}/teacher": True}
    assert cli.main(["diff", str(one), str(other)]) == 1
    told = capsys.readouterr().out
    assert 'phases.only.objective.teacher.dtype  "float32"' in told
    again = written(tmp_path, resolved_toml(resolve_text(local(models, "teacher"))), "again.toml")
    assert compile_spec(again).plan.digest == plans[0].digest
    assert Plan.from_json(plans[0].as_json()) == plans[0]


def test_a_lock_notices_a_teachers_files_at_its_own_place(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, local(models, "teacher"))
    assert cli.main(["lock", str(file)]) == 0
    assert cli.main(["lock", str(file), "--check"]) == 0
    config = models / "teacher" / "config.json"
    before = config.read_text()
    try:
        config.write_text(before.replace("{", "{ ", 1))
        capsys.readouterr()
        assert cli.main(["lock", str(file), "--check"]) == 4
    finally:
        config.write_text(before)
    told = capsys.readouterr().err
    assert f"error[E0501]: the files in {models}/teacher have changed" in told
    assert "spec.toml:16:8" in told


def test_a_resume_with_other_files_of_a_teacher_is_refused(models: Path, tmp_path: Path) -> None:
    plan = compile_spec(written(tmp_path, local(models, "teacher"))).plan
    write_object(tmp_path / "manifest.json", {FILES: hash_model_files(plan)})
    require_same_model_files(tmp_path, plan)
    config = models / "teacher" / "config.json"
    before = config.read_text()
    try:
        config.write_text(before.replace("{", "{ ", 1))
        with pytest.raises(Drift, match=r"teacher/config\.json: [0-9a-f]{12} when the run began"):
            require_same_model_files(tmp_path, plan)
    finally:
        config.write_text(before)


def test_a_teachers_revision_can_be_pinned_from_outside_and_is_fetched_as_the_spec_names_it(tmp_path: Path) -> None:
    text = with_teachers('use = "hf_causal", name = "acme/big", revision = "v2"')
    pin = f'phases.refine.objective.terms[1].teacher.revision="{"a" * 40}"'
    for sets, revision in (((), "v2"), ((pin,), "a" * 40)):
        resolved, _ = check_spec(written(tmp_path, text), sets=sets)
        (need,) = hub_prerequisites(make_plan(resolved, Hardware(2, None)))
        assert (need.name, need.revision) == ("acme/big", revision)


def test_a_teacher_may_take_its_tokenizer_from_a_data_set_which_then_is_used() -> None:
    assert found_in(with_teachers(scratch())) == []
    unknown = found_in(with_teachers(scratch(tokenizer="data:corpse")))
    assert [(d.code, d.path) for d in unknown] == [("E0604", "phases[2].objective.terms[1].teacher.tokenizer")]
    rows = '[data.rows]\nuse = "jsonl"\npath = "rows.jsonl"\n'
    (lacking,) = found_in(with_teachers(scratch(tokenizer="data:rows")) + rows)
    assert (lacking.code, lacking.path) == ("E0601", "phases[2].objective.terms[1].teacher.use")
    assert lacking.message == "`from_scratch` requires a tokenizer, and `jsonl` provides none"


def test_the_schema_knows_the_slot() -> None:
    schema: Any = spec_schema(installed())[0]
    teacher = schema["definitions"]["objective.distill"]["properties"]["teacher"]
    assert {"$ref": "#/definitions/model"} in teacher["allOf"]
    assert "teacher" not in schema["definitions"]["objective.kl"]["properties"]


def test_the_graph_draws_a_teacher_beside_the_objective() -> None:
    drawn = draw(resolve_text(with_teachers(scratch(), scratch(', dtype = "bfloat16"'))))
    assert [n.id for n in drawn.nodes if n.kind == "teacher"] == ["refine_teacher_0", "refine_teacher_1"]
    assert [e.target for e in drawn.edges if e.carries == "log-probabilities"] == ["refine_objective"] * 2
