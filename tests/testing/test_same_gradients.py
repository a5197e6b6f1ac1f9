"""Arms that train alike are found by their gradients: by another name, by a factor; and what differs is not."""

from functools import cache
from itertools import combinations
from typing import Any

import pytest
import torch
from prerl_components.optimizers.adamw import Adamw
from prerl_components.optimizers.muon import Muon
from prerl_components.schedules.fixed_steps import FixedSteps

from prerl_spec.compiler.graph import Named, Phase
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.testing.same_arms import Alike, alike, alike_findings
from prerl_spec.testing.same_gradients import LARGE, SMALL, gradient_factor, ignores_factor
from tests.compiler.specs import TINY
from tests.product.built_ins import built_ins, examples

ONE_PHASE = (
    TINY[: TINY.index('[[phases]]\nid = "pretrain"')].replace(
        '[data.easy]\nuse = "arithmetic_chains"\npart = "easy"\n', ""
    )
    + TINY[TINY.index('[[phases]]\nid = "refine"') : TINY.index("[[evaluate]]")]
)
GRPO = """{ use = "policy_gradient", advantage = "group_std", surrogate = "clip", aggregation = "sequence_mean" }"""


@cache
def planned(objective: str, more: str = "", updates: int = 2, group: int = 4) -> Plan:
    text = ONE_PHASE
    for old, new in (
        ("updates_per_batch = 2", f"updates_per_batch = {updates}"),
        ("group_size = 4", f"group_size = {group}"),
        ('[phases.objective]\nuse = "grpo"\n', f"objective = {objective}\n"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    resolved = resolve_text(text, sets=(more,) if more else ())
    assert [d for d in diagnose(resolved) if d.severity == "error"] == []
    return make_plan(resolved)


def compared(first: str, second: str, more: str = "", **settings: int) -> Alike | None:
    """How two objectives train alike in one phase; `more` is a setting of the second's spec."""
    return alike(planned(first, **settings), planned(second, more, **settings))


def test_a_preset_trains_like_the_policy_gradient_that_it_stands_for() -> None:
    for updates in (1, 2):
        assert compared('"grpo"', GRPO, updates=updates) == Alike({"refine": 1.0})


@pytest.mark.parametrize("group", [2, 5])
def test_rloo_is_dr_grpo_but_for_a_factor(group: int) -> None:
    found = compared('"dr_grpo"', '"rloo"', updates=1, group=group)
    assert found is not None
    assert not found.is_equal
    assert found.factors == {"refine": pytest.approx(group / (group - 1), rel=1e-12)}
    assert compared('"dr_grpo"', '"rloo"', updates=2, group=group) is None, "one clips a ratio, the other has none"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('"grpo"', '"dapo"'),
        ('"grpo"', '"dr_grpo"'),
        (
            '{ use = "marginal_pg", advantage = "group_mean", aggregation = "token_mean" }',
            '{ use = "policy_gradient", advantage = "group_mean" }',
        ),
        ('"grpo"', '"nothing"'),
        ('{ use = "grpo", clip_low = 0.2 }', '{ use = "grpo", clip_low = 0.3 }'),
        ('{ use = "grpo", importance = "truncate" }', '"grpo"'),
        ('{ use = "grpo", coefficient = { use = "linear", start = 0.5, end = 1.0, steps = 9 } }', '"grpo"'),
        ('{ use = "weighted_sum", terms = ["grpo", { use = "kl", coefficient = 0.01 }] }', '"grpo"'),
    ],
)
def test_what_trains_otherwise_is_not_called_alike(one: str, other: str) -> None:
    assert compared(one, other) is None


def test_what_the_clip_never_sees_makes_no_difference() -> None:
    wide = '{ use = "grpo", clip_low = 0.3 }'
    assert compared('"grpo"', wide, updates=1) == Alike({"refine": 1.0})


@pytest.mark.parametrize(
    ("more", "same"),
    [
        ("run.seed=5", True),
        ("sampler.temperature=0.5", False),
        ("optimizer.weight_decay=0.5", False),
        ('rewards=[{ use = "format_bonus", weight = 0.1 }]', False),
        ('probes=["response_length"]', True),
        ('evaluate=[{ use = "holdout", data = "train" }]', True),
    ],
)
def test_all_else_of_the_plans_must_mean_the_same(more: str, same: bool) -> None:
    found = compared('"grpo"', GRPO, more)
    assert (found is not None and found.is_equal) == same


def test_an_optimizer_that_takes_gradients_as_they_are_sees_their_length() -> None:
    class Plain(Adamw):
        def build(self, named_parameters):  # type: ignore[no-untyped-def]
            return [torch.optim.SGD([p for _, p in named_parameters], lr=self.lr)]

    assert ignores_factor(Adamw(lr=1e-3), 4 / 3, SMALL)
    assert ignores_factor(Muon(lr=1e-3), 100.0, LARGE)
    assert not ignores_factor(Plain(lr=1e-3), 4 / 3, LARGE)
    assert not ignores_factor(Adamw(lr=1e-3, eps=1.0), 4 / 3, LARGE), "its eps is larger than the gradients"
    assert not ignores_factor(Adamw(lr=1e-3), 100.0, SMALL), "the shorter gradients come near its eps"


@pytest.mark.parametrize(
    ("coefficient", "eps", "code"), [(0.01, 1e-8, "W0702"), (0.01, 1e-15, "W0702"), (0.5, 1e-8, "E0701")]
)
def test_a_coefficient_that_eps_or_clipping_may_see_is_a_warning(coefficient: float, eps: float, code: str) -> None:
    text = ONE_PHASE + "[study]\nseeds = [1, 2]\n[study.arms.one]\n[study.arms.other]\n"
    scaled = f'{{ use = "grpo", coefficient = {coefficient} }}'
    plans = {n: planned(o, f"optimizer.eps={eps}") for n, o in {"one": '"grpo"', "other": scaled}.items()}
    (found,) = alike_findings(resolve_text(text), plans)
    assert str(found.code) == code
    assert f"are {coefficient:g} times those of `one`" in found.notes[0]


def test_an_arm_that_is_another_one_is_an_error_at_its_name() -> None:
    text = ONE_PHASE + "[study]\nseeds = [1, 2]\n[study.arms.one]\n[study.arms.other]\n[study.arms.third]\n"
    arms = {"one": '"dr_grpo"', "other": '"rloo"', "third": '"grpo"'}
    plans = {name: planned(objective, updates=1) for name, objective in arms.items()}
    (found,) = alike_findings(resolve_text(text), plans)
    assert str(found.code) == "E0701"
    assert found.span is not None
    assert text.splitlines()[found.span.line - 1] == "[study.arms.other]"
    assert "differ in nothing but the length of their gradients, which `adamw` does not see" in found.message
    assert found.notes == ("phase `refine`: gradients of `other` are 1.33333 times those of `one`",)


def test_every_phase_must_agree() -> None:
    text = TINY + "[study]\nseeds = [1, 2]\n"
    for name, prune in (
        ("one", '"marginal_nsr"'),
        ("other", '{ use = "marginal_nsr", coefficient = 0.5 }'),
        ("third", '"marginal_pg"'),
    ):
        refine = f'{{ id = "refine", objective = {GRPO} }}'
        text += f'[study.arms.{name}]\nphases = [{{ id = "prune", objective = {prune} }}, {refine}]\n'
    one, other, third = (make_plan(arm) for arm in resolve_text(text).arms.values())
    assert alike(one, other) == Alike({"pretrain": 1.0, "prune": pytest.approx(0.5), "refine": 1.0})
    assert alike(one, third) is None


def a_phase(use: str, updates: int) -> Phase:
    """A phase of a built-in objective, as far as its gradients see it."""
    objective: Any = built_ins("objective")[use](**examples("objective")[use])
    samples = objective.uses_rollouts
    return Phase(
        id="refine",
        data={"train": 1.0},
        prompts_per_step=6 if samples else None,
        documents_per_step=None if samples else 6,
        updates_per_batch=updates,
        tokens_per_pass=64,
        objective=Named(use, objective),
        schedule=Named("fixed_steps", FixedSteps(steps=1)),
        optimizer=Named("adamw", Adamw(lr=1e-3)),
        sampler=Named("transformers", built_ins("sampler")["transformers"](group_size=4)) if samples else None,
        verifier=None,
    )


def test_every_objective_trains_like_itself() -> None:
    for use in built_ins("objective"):
        phase = a_phase(use, 2)
        assert gradient_factor(phase, phase, binary=False) == 1.0, use


@pytest.mark.slow
def test_presets_that_are_one_without_a_ratio_are_told_apart_by_it() -> None:
    """All pairs of presets: with one update a batch no ratio differs from 1, and some papers' objectives are the same."""
    presets = [use for use in built_ins("objective") if use not in ("policy_gradient", "weighted_sum")]

    def pairs(updates: int) -> dict[tuple[str, str], float]:
        found = {
            (one, other): gradient_factor(a_phase(one, updates), a_phase(other, updates), binary=True)
            for one, other in combinations(presets, 2)
        }
        return {pair: factor for pair, factor in found.items() if factor is not None}

    assert pairs(updates=2) == {}
    assert pairs(updates=1) == {
        ("cispo", "dapo"): 1.0,
        ("dppo", "dr_grpo"): 1.0,
        ("dppo", "rloo"): pytest.approx(4 / 3),
        ("dr_grpo", "rloo"): pytest.approx(4 / 3),
        ("grpo", "gspo"): 1.0,
        ("grpo", "sapo"): 1.0,
        ("gspo", "sapo"): 1.0,
    }
