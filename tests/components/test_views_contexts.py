"""What stands before a response, and that a marginal loss cannot see its question."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from prerl_components.objectives.gradient_objective import GradientObjective
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr

from prerl_spec.sdk import Codec, Component, Conditional, EnvironmentUnmet, Group, Marginal, Need, Prefix, Prompt, Step
from prerl_spec.testing.laws import check_view
from prerl_spec.testing.steps import made_step
from prerl_spec.testing.tiny import byte_tokenizer, tiny_model

CODEC = Codec.of_tokenizer(byte_tokenizer())
PROMPT = Prompt("train", 0, "2+2?", "4", context=(5, 6, 7))


@pytest.mark.parametrize(
    "view", [Conditional(), Marginal(), Marginal(prefix="Answer: "), Prefix(text="Answer: ")], ids=repr
)
def test_every_view_obeys_the_laws(view: Component) -> None:
    check_view(view, CODEC)


def test_the_conditional_view_is_the_prompt_as_it_was_sampled_from() -> None:
    assert Conditional().context(PROMPT, CODEC) == (5, 6, 7)


def test_the_marginal_prefix_is_the_first_special_token_of_the_chat_template_or_a_text() -> None:
    assert Marginal().context(PROMPT, CODEC) == (CODEC.token_id("<|im_start|>"),)
    assert Marginal(prefix="<|im_start|>").context(PROMPT, CODEC) == Marginal().context(PROMPT, CODEC)
    assert Marginal(prefix="ab").context(PROMPT, CODEC) == CODEC.encode("ab")
    assert Prefix(text="ab").context(PROMPT, CODEC) == CODEC.encode("ab")


def test_a_tokenizer_without_a_candidate_is_an_error_with_a_mend() -> None:
    bare = Codec(byte_tokenizer().backend_tokenizer, chat_template=None, special={})
    with pytest.raises(EnvironmentUnmet) as caught:
        Marginal().context(PROMPT, bare)
    assert "prefix" in str(caught.value.hint)


def test_views_are_values() -> None:
    assert {Conditional(), Conditional(), Marginal(), Marginal(prefix="auto"), Marginal(prefix="b")} == {
        Conditional(),
        Marginal(),
        Marginal(prefix="b"),
    }
    assert Need(Marginal(), "policy") == Need(Marginal(prefix="auto"), "policy")


def with_questions(step: Step, contexts: list[tuple[int, ...]]) -> Step:
    groups = [
        Group(g.slot, replace(g.prompt, context=c), g.attempts) for g, c in zip(step.groups, contexts, strict=True)
    ]
    return replace(step, groups=tuple(groups))


def model_gradient(objective: GradientObjective, step: Step) -> torch.Tensor:
    """The gradient of all weights, each sample alone in an ordinary forward of a tiny Qwen3."""
    model: Any = tiny_model("qwen3").double()
    view = objective.point().view
    credit = objective.credit(step, {})
    for sample, attempt in enumerate(step.samples):
        tokens, index = step.tokens.of_samples([sample])
        context = view.context(step.groups[int(step.group_S[sample])].prompt, CODEC)
        ids = torch.tensor([[*context, *attempt.tokens]])
        logits = model(input_ids=ids).logits[0, len(context) - 1 : -1]
        logp = logits.log_softmax(-1).gather(-1, torch.from_numpy(tokens.id_N)[:, None]).squeeze(-1)
        terms = objective.terms({Need(view, "policy"): logp}, torch.from_numpy(credit.advantage_N[index]), tokens)
        torch.autograd.backward((torch.from_numpy(credit.weight_N[index]) * terms).sum())
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_a_marginal_gradient_does_not_change_with_the_question_and_a_conditional_one_does() -> None:
    step = made_step([[1.0, 0.0], [0.0, 0.0, 1.0]])
    one, other = (with_questions(step, c) for c in ([(1, 2), (3,)], [(40, 41, 42, 43), (9, 8)]))
    assert torch.equal(model_gradient(MarginalNsr(), one), model_gradient(MarginalNsr(), other))
    assert not torch.allclose(model_gradient(Grpo(), one), model_gradient(Grpo(), other))


def test_another_prefix_gives_another_marginal_gradient() -> None:
    step = made_step([[1.0, 0.0]])
    gap = model_gradient(MarginalNsr(), step) - model_gradient(MarginalNsr(prefix="x"), step)
    assert float(gap.abs().max()) > 1e-3


def test_a_step_descends_the_probability_of_wrong_responses() -> None:
    """One small step along the marginal NSR gradient lowers log P(y) of the wrong response."""
    step = made_step([[1.0, 0.0]], lengths=[4, 6])
    gradient = model_gradient(MarginalNsr(), step)
    model: Any = tiny_model("qwen3").double()
    wrong = step.samples[1].tokens
    ids = torch.tensor([[*Marginal().context(PROMPT, CODEC), *wrong]])

    def log_p() -> float:
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, :-1]
        return float(logits.log_softmax(-1)[np.arange(len(wrong)), list(wrong)].sum())

    before = log_p()
    at = 0
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 1e-3 * gradient[at : at + parameter.numel()].view_as(parameter)
            at += parameter.numel()
    assert log_p() < before - 1e-3
