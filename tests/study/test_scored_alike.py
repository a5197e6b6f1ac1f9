"""Arms whose scores `compare` would refuse are refused before anything runs, and no others."""

from dataclasses import replace
from pathlib import Path

import pytest

from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Diagnostic
from prerl_spec.study.scored_alike import scored_otherwise
from tests.compiler.specs import TINY

HARNESS = """
[[evaluate]]
use = "lm_eval"
tasks = ["arithmetic_chains_easy"]
limit = 5
"""


def findings(arm: str, spec: str = TINY) -> tuple[Resolved, list[Diagnostic]]:
    """Of a study of the spec as it is, `plain`, and of one other arm."""
    resolved = resolve_text(f"{spec}\n[study]\nseeds = [3, 4]\n[study.arms]\nplain = {{}}\n[study.arms.other]\n{arm}")
    assert [d for d in diagnose(resolved) if d.severity == "error"] == [], "`validate` accepts it"
    return resolved, list(scored_otherwise(resolved, {name: make_plan(its) for name, its in resolved.arms.items()}))


def with_evaluator(evaluator: str, spec: str = TINY) -> str:
    return spec[: spec.index("[[evaluate]]")] + evaluator


def holdout(*written: str, samples: int = 4, limit: int = 10) -> str:
    """An arm's evaluator in place of the spec's."""
    settings = ", ".join(('use = "holdout"', 'data = "easy"', f"samples = {samples}", f"limit = {limit}", *written))
    return f"evaluate = [{{ {settings} }}]"


LAST = '[[study.arms.other.phases]]\nid = "refine"\nsampler = '


@pytest.mark.parametrize(
    ("arm", "said", "help"),
    [
        ("sampler.temperature = 0.7", "temperature is 1.0 in `plain` and 0.7 in `other`", "write temperature in"),
        (holdout("top_p = 0.9"), "top_p is 1.0 in `plain` and 0.9", "write top_p in [[evaluate]]"),
        ("sampler.max_new_tokens = 50", "max_new_tokens is 60 in `plain` and 50", "write max_new_tokens in"),
        ('sampler.stop = ["."]', 'stop is [] in `plain` and ["."]', "give all arms the same stop"),
        (LAST + '{ use = "transformers", temperature = 0.5, group_size = 4 }', "0.5 in `other`", "write temperature"),
        (holdout("temperature = 0.2"), "temperature is 1.0 in `plain` and 0.2", "write temperature"),
        (holdout("seed = 3"), 'seed is "run.seed" in `plain` and 3', "write seed in"),
        (holdout(samples=2), "samples is 4 in `plain` and 2", "write samples"),
        (holdout(limit=9), "number of questions is 10 in `plain` and 9", "write limit in"),
        ('data.easy.part = "hard"', "rows is ", "score the same rows in all arms"),
        ('verifier = "math_verify"', "verifier is exact_match in `plain` and math_verify", "write verifier in"),
        (holdout('verifier = "math_verify"'), "exact_match in `plain` and math_verify", "write verifier in"),
    ],
)
def test_a_task_that_is_scored_otherwise_is_refused_at_the_later_arm(arm: str, said: str, help: str) -> None:
    resolved, found = findings(arm)
    assert [(str(d.code), d.path) for d in found] == [("E0701", "study.arms.other")]
    assert found[0].span == resolved.key_span("study.arms.other")
    assert [(label.span, label.text) for label in found[0].labels] == [
        (resolved.key_span("study.arms.plain"), "the arm `plain`")
    ]
    assert found[0].message.startswith("the arms `plain` and `other` cannot be compared on easy: ")
    assert said in found[0].message
    assert help in (found[0].help or "")


def test_a_benchmark_is_judged_as_its_arm_is() -> None:
    (found,) = findings('verifier = "math_verify"', with_evaluator(HARNESS))[1]
    assert "on arithmetic_chains_easy: verifier is exact_match in `plain` and math_verify in `other`" in found.message
    assert "give all arms the same verifier" in (found.help or "")


def test_another_verifier_is_no_matter_to_tasks_that_it_does_not_judge(rows: Path) -> None:
    stock = with_evaluator(HARNESS.replace("arithmetic_chains_easy", "gsm8k"))
    table = f'[data.easy]\nuse = "jsonl"\npath = "{rows}"\nverifier = "exact_match"'
    own = TINY.replace('[data.easy]\nuse = "arithmetic_chains"\npart = "easy"', table)
    assert own != TINY
    for spec in (stock, own):
        assert findings('verifier = "math_verify"', spec)[1] == []


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"question": "2+2", "answer": "4"}\n' * 6, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("name", "evaluator", "help"),
    [
        ("easy", "", "write the same system in data.easy of all arms"),
        ("train", HARNESS, "write system in [[evaluate]]"),
        ("train", f'{HARNESS}system = "Be kind."', None),
        ("train", "", None),
    ],
)
def test_another_system_prompt_is_refused_where_the_questions_are_asked_with_it(
    rows: Path, name: str, evaluator: str, help: str | None
) -> None:
    spec = TINY.replace(
        '[data.easy]\nuse = "arithmetic_chains"\npart = "easy"', '[data.easy]\nuse = "arithmetic_chains"'
    )
    spec = spec.replace(f'[data.{name}]\nuse = "arithmetic_chains"', f'[data.{name}]\nuse = "jsonl"\npath = "{rows}"')
    spec = spec[: spec.index("[[phases]]")] + spec[spec.index('[[phases]]\nid = "prune"') :]
    found = findings(f'data.{name}.system = "Be brief."', with_evaluator(evaluator, spec) if evaluator else spec)[1]
    assert ['system is "" in `plain` and "Be brief." in `other`' in d.message for d in found] == [True] * (
        help is not None
    )
    assert all((help or "") in (d.help or "") for d in found)


@pytest.mark.parametrize("template", ["no chat template", "the chat template"])
def test_other_arguments_of_a_chat_template_are_refused_where_there_is_one(template: str) -> None:
    arm = 'evaluate = [{ use = "lm_eval", tasks = ["arithmetic_chains_easy"], limit = 5, chat = "off" }]'
    resolved, _ = findings(arm, with_evaluator(f"{HARNESS}chat = {{}}"))
    plans = {name: make_plan(its) for name, its in resolved.arms.items()}
    found = list(scored_otherwise(resolved, {name: _rendered_by(template, plan) for name, plan in plans.items()}))
    said = 'chat is {} in `plain` and "off" in `other`'
    assert [said in d.message for d in found] == [True] * (template == "the chat template")


def _rendered_by(template: str, plan: Plan) -> Plan:
    last = plan.phases[-1]
    assert last.example is not None
    return replace(plan, phases=(*plan.phases[:-1], replace(last, example=replace(last.example, template=template))))


@pytest.mark.parametrize(
    "arm",
    [
        'optimizer = { use = "muon", lr = 0.01 }',
        'phases = [{ id = "refine", objective = "dapo" }]',
        "sampler.group_size = 8",
        'phases = [{ id = "prune", sampler = { use = "transformers", group_size = 4, temperature = 0.5 } }]',
        "model.config.num_hidden_layers = 2",
        "evaluate = []",
        'evaluate = [{ use = "holdout", data = "train", limit = 3, temperature = 0.1 }]',
        holdout("temperature = 1.0"),
        holdout('seed = "${run.seed}"'),
        holdout('verifier = "exact_match"'),
        holdout("every = 2"),
        holdout("temperature = 0.1, at = ['base']"),
        # Further conditions beside those that the arms share, and further evaluators.
        holdout()[:-1] + ', { use = "holdout", data = "easy", samples = 2, limit = 10 }]',
        holdout(samples=2)[:-1] + ', { use = "holdout", data = "easy", samples = 4, limit = 10 }]',
        holdout()[:-1] + ', { use = "holdout", data = "train", limit = 3 }]',
        "sampler.temperature = 0.7\n" + holdout("temperature = 1.0"),
    ],
)
def test_arms_that_are_scored_alike_or_on_tasks_of_their_own_are_not(arm: str) -> None:
    assert findings(arm)[1] == []
