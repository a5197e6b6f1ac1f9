"""On-policy distillation: its gradient is that of the reverse KL of a token, in expectation and exactly."""

from typing import Any

import pytest
import torch
from prerl_components.adapters.lora import Lora
from prerl_components.models.from_scratch import SMALLEST, FromScratch
from prerl_components.models.hf_causal import HfCausal
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.token_losses.distill import Distill
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.objectives.weighted_sum import WeightedSum

from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.registry.nested_components import nested_components, teachers_in
from prerl_spec.registry.plugin_contract import PluginFault, check_declared_types
from prerl_spec.sdk import Conditional, Need, Teacher
from prerl_spec.testing.laws import check_objective
from prerl_spec.testing.steps import made_step
from tests.compiler.specs import bent, found_in

BIG = HfCausal(name="acme/big")
DISTILL = Distill(teacher=BIG)
POLICY, OLD = Need(Conditional()), Need(Conditional(), "old")


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean", "constant"])
def test_distillation_obeys_the_laws(aggregation: Any) -> None:
    one = Distill(teacher=BIG, aggregation=aggregation, coefficient=0.3)
    other = Distill(teacher=FromScratch(config=SMALLEST, tokenizer="data:corpus"))
    check_objective(one)
    check_objective(WeightedSum(terms=(Grpo(), one, Kl(), other)))


@pytest.mark.parametrize("several_updates", [False, True])
def test_the_expected_gradient_is_that_of_the_reverse_kl(several_updates: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits, old, teacher = torch.randn(3, 5, dtype=torch.float64, generator=generator).unbind()
    old_v = old.log_softmax(-1) if several_updates else logits.log_softmax(-1)

    leaf = logits.clone().requires_grad_()
    logp_v = leaf.log_softmax(-1)
    kl = (logp_v.exp() * (logp_v - teacher.log_softmax(-1))).sum()
    (expected,) = torch.autograd.grad(kl, leaf)

    # Every token of the vocabulary once, each with the probability with which it is sampled.
    logp_v = leaf.log_softmax(-1)
    vectors = {POLICY: logp_v, DISTILL.scored_by: teacher.log_softmax(-1)} | ({OLD: old_v} if several_updates else {})
    terms_v = DISTILL.terms(vectors, torch.zeros(5), made_step([[1.0]], lengths=[5]).tokens)
    (found,) = torch.autograd.grad((old_v.exp() * terms_v).sum(), leaf)
    torch.testing.assert_close(found, expected, atol=1e-14, rtol=0)
    if not several_updates:
        torch.testing.assert_close((old_v.exp() * terms_v).sum(), kl, atol=1e-14, rtol=0)


def test_a_teacher_that_agrees_pulls_nowhere() -> None:
    logp = torch.tensor([-0.5, -3.0, -40.0], requires_grad=True)
    terms = DISTILL.terms({POLICY: logp, DISTILL.scored_by: logp.detach()}, torch.zeros(3), made_step([]).tokens)
    terms.sum().backward()
    assert not terms.any()
    assert logp.grad is not None
    assert not logp.grad.any()


def test_equal_settings_are_one_teacher_and_any_other_setting_makes_another() -> None:
    again, half, copy = HfCausal(name="acme/big"), HfCausal(name="acme/big", dtype="bfloat16"), HfCausal(name="acme/b")
    assert Teacher.of(BIG) == Teacher.of(again)
    assert len({Teacher.of(model) for model in (BIG, again, half, copy)}) == 3
    both = WeightedSum(terms=(DISTILL, Distill(teacher=again, coefficient=0.5), Distill(teacher=half)))
    assert list(teachers_in(both)) == [Teacher.of(BIG), Teacher.of(half)]
    assert [path for path, part in nested_components(both, "objective") if part.kind == "model"] == [
        f"objective.terms[{n}].teacher" for n in range(3)
    ]
    needs = Needs.of(both, 1)  # type: ignore[arg-type]
    assert set(needs.without_gradient) == {Need(Conditional(), Teacher.of(BIG)), Need(Conditional(), Teacher.of(half))}
    assert OLD in Needs.of(both, 2).without_gradient  # type: ignore[arg-type]


class Pretender(Distill):
    """Names a teacher that it does not hold."""

    def needs(self) -> frozenset[Need]:
        return frozenset({POLICY, Need(Conditional(), Teacher.of(HfCausal(name="acme/other")))})


def test_a_need_of_a_teacher_in_no_slot_is_the_authors_mistake() -> None:
    with pytest.raises(PluginFault) as fault:
        check_declared_types(Pretender(teacher=BIG), "acme.pretender", "acme")
    assert "a Need names a Teacher that is in none of its slots" in str(fault.value.help)


def test_the_adapter_of_a_teacher_is_said_to_have_no_effect() -> None:
    assert Distill(teacher=HfCausal(name="a/b", adapter=Lora())).teacher != BIG
    adapted = '{ use = "distill", teacher = { use = "hf_causal", name = "a/b", adapter = "lora" } }'
    text = bent(('[phases.objective]\nuse = "grpo"\n', f"objective = {adapted}\n"))
    assert [(d.code, d.path) for d in found_in(text)] == [("W0702", "phases[2].objective.teacher")]


@pytest.mark.parametrize(
    ("teacher", "code"),
    [
        ("", "E0204"),
        ('teacher = "adamw"', "E0303"),
        ('teacher = { use = "hf_causal" }', "E0204"),
        ("teacher = 3", "E0308"),
        ('name = "acme/big"', "E0203"),
    ],
)
def test_a_teacher_is_a_model(teacher: str, code: str) -> None:
    text = bent(('[phases.objective]\nuse = "grpo"\n', f'[phases.objective]\nuse = "distill"\n{teacher}\n'))
    assert code in [d.code for d in found_in(text)]


def test_the_metric_is_the_reverse_kl_and_not_its_negative() -> None:
    """On sampled tokens that the policy finds likelier than its teacher, log π − log π_T is above 0."""
    logp = {POLICY: torch.tensor([-1.0, -2.0]), DISTILL.scored_by: torch.tensor([-1.5, -4.0])}
    found = DISTILL.measures(logp, torch.zeros(2), made_step([[1.0]], lengths=[2]).tokens)
    assert {name: value.tolist() for name, value in found.items()} == {"teacher_kl": [0.5, 2.0]}
