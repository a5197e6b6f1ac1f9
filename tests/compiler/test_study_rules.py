"""What a study may not say: each mistake at its place, and beside it a study without one."""

import pytest

from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.planning.study_rules import study_findings
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Diagnostic
from tests.compiler.specs import TINY

STUDY = """
[study]
seeds = [1, 2, 3]
match = "steps"
budget = 12
primary = "easy/avg@4"
prior_sd = 0.02
[study.arms.grpo]
[study.arms.dapo]
phases = [{ id = "refine", objective = "dapo" }]
"""


def study(*changes: tuple[str, str], plan: bool = False) -> tuple[Resolved, tuple[Diagnostic, ...]]:
    text = TINY + STUDY
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    resolved = resolve_text(text)
    assert [d for d in diagnose(resolved) if d.severity == "error"] == [], "`validate` accepts it"
    plans: dict[str, Plan] = {name: make_plan(arm) for name, arm in resolved.arms.items()} if plan else {}
    return resolved, study_findings(resolved, plans)


def under_carets(resolved: Resolved, found: Diagnostic) -> str:
    assert found.span is not None
    line = resolved.sources[found.span.file].splitlines()[found.span.line - 1]
    return line[found.span.column - 1 : found.span.end_column - 1]


def test_a_study_without_mistakes_has_no_findings() -> None:
    assert study(plan=True)[1] == ()


SAME = (
    "[study.arms.grpo]",
    '[study.arms.grpo]\n[study.arms.again]\nrun.name = "other"\noptimizer.betas = [0.9, 0.999]',
)
SEED = ("[study.arms.grpo]", "[study.arms.grpo]\nrun.seed = 7")
EARLY = ("limit = 10\n", 'limit = 10\nat = ["base"]\n')
ELSEWHERE = ("[study.arms.grpo]", '[study.arms.grpo]\nevaluate = [{ use = "holdout", data = "easy" }]')


@pytest.mark.parametrize(
    ("change", "under", "said", "help"),
    [
        (("seeds = [1, 2, 3]", "seeds = [4]"), "[4]", "two seeds or more", "what it can detect"),
        (("seeds = [1, 2, 3]", "seeds = [5, 6, 5]"), "5", "the seed 5 stands twice", None),
        (SEED, "7", "the arm `grpo` sets run.seed", "model.seed"),
        (SAME, "again", "the arms `grpo` and `again` differ in nothing", "change what"),
        (("easy/avg@4", "easy/avg@8"), '"easy/avg@8"', "no evaluator gives `easy/avg@8`", "easy/avg@4, easy/pass@4"),
        (("easy/avg@4", "hard/avg@4"), '"hard/avg@4"', "no evaluator gives `hard/avg@4`", "easy/avg@4, easy/pass@4"),
        (EARLY, '"easy/avg@4"', "at the end of a run", 'add "end"'),
        (ELSEWHERE, '"easy/avg@4"', "at the end of a run of the arm `grpo`", "given are easy/avg@1, easy/pass@1"),
    ],
)
def test_a_mistake_is_found_at_its_place(change: tuple[str, str], under: str, said: str, help: str | None) -> None:
    resolved, found = study(change, plan=change is SAME)
    assert [str(d.code) for d in found] == ["E0701"]
    assert under_carets(resolved, found[0]) == under
    assert said in found[0].message
    assert help is None if found[0].help is None else help is not None and help in found[0].help


def test_the_second_of_two_equal_seeds_and_the_later_of_two_equal_arms_are_at_fault() -> None:
    _resolved, found = study(("seeds = [1, 2, 3]", "seeds = [5, 6, 5]"), SAME, plan=True)
    spans = [(d.span.column if d.span else 0, [label.span.column for label in d.labels]) for d in found]
    assert spans == [(16, [10]), (13, [13])]
    assert [label.text for label in found[1].labels] == ["the arm `grpo`"]


def test_a_metric_that_only_lm_eval_knows_is_believed_and_one_of_our_own_task_is_not() -> None:
    several = (
        '[[evaluate]]\nuse = "holdout"',
        '[[evaluate]]\nuse = "lm_eval"\ntasks = ["gsm8k", "aime24_boxed"]\n[[evaluate]]\nuse = "holdout"',
    )
    for primary, wrong in (
        ("gsm8k/exact_match", 0),
        ("gsm8k_cot/exact_match", 0),
        ("aime24_boxed/exact_match", 1),
        ("easy/avg@9", 1),
    ):
        assert len(study(several, ("easy/avg@4", primary))[1]) == wrong, primary


ARM = "[study.arms.grpo]"


@pytest.mark.parametrize(
    ("change", "under"),
    [
        (('primary = "easy/avg@4"\n', ""), "0.02"),
        ((ARM, f'{ARM}\nrun.output_dir = "elsewhere"'), '"elsewhere"'),
    ],
)
def test_what_a_study_does_not_read_has_no_effect(change: tuple[str, str], under: str) -> None:
    resolved, found = study(change)
    assert [(str(d.code), under_carets(resolved, d)) for d in found] == [("W0702", under)]


def test_a_prior_without_anything_scored_has_no_effect() -> None:
    without = TINY[TINY.index("[[evaluate]]") :]
    resolved, found = study(
        (without, ""), ('primary = "easy/avg@4"\n', ""), ('[data.easy]\nuse = "arithmetic_chains"\npart = "easy"\n', "")
    )
    assert [(str(d.code), under_carets(resolved, d)) for d in found] == [("W0702", "0.02")]
