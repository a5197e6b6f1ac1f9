"""What a trainer refuses, and that it scores a response by the distribution that drew it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from prerl_components.advantages.signed import Signed
from prerl_components.objectives.point import Point
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.surrogates.plain import Plain
from transformers import AutoModelForCausalLM

from prerl_spec.engine.policy.policy import Policy
from prerl_spec.errors import RunFailed
from prerl_spec.needs import Batch, Need
from prerl_spec.registry.kinds.model import LoadedModel
from prerl_spec.sdk import Array, Selection
from prerl_spec.testing.tiny import byte_tokenizer, tiny_config
from prerl_spec.text import Codec
from prerl_spec.types import Tokens
from tests.engine.steps import gradient_of, make_trainer, random_step, tiny_policy


class Unbounded(Grpo):
    """Each of its terms is finite, their weighted sum is not, and its gradient is GRPO's: only the loss can tell."""

    def terms(self, logp: Mapping[Need, torch.Tensor], advantage_n: torch.Tensor, tokens: Tokens) -> torch.Tensor:
        return super().terms(logp, advantage_n, tokens) + 3e38


def test_a_loss_that_is_not_finite_is_refused_where_its_gradient_would_pass() -> None:
    policy = tiny_policy()
    before = {n: p.detach().clone() for n, p in policy.parameters()}
    with pytest.raises(RunFailed, match="the loss is inf"):
        make_trainer(policy, Unbounded(coefficient=100.0)).train(random_step())
    assert all(torch.equal(before[n], p) for n, p in policy.parameters())
    assert all(p.grad is None for _, p in policy.parameters()), "nothing is left over for the next update"


def with_dropout() -> LoadedModel:
    """GPT-2 with every dropout at a half, in train mode as transformers makes it."""
    config = tiny_config("gpt2")
    config.attn_pdrop = config.embd_pdrop = config.resid_pdrop = 0.5
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = AutoModelForCausalLM.from_config(config, dtype=torch.float32).train()
    tokenizer = byte_tokenizer()
    return LoadedModel(module, tokenizer, Codec.of_tokenizer(tokenizer), torch.float32, {})


def test_dropout_is_off_when_responses_are_scored() -> None:
    policy, step = Policy(with_dropout(), torch.device("cpu")), random_step(2, 2)
    first, second = (gradient_of(make_trainer(policy, Grpo()), step) for _ in range(2))
    assert first.norm() > 0
    assert torch.equal(first, second)
    assert policy.plain_head
    assert policy.arrangement == "flat"


class Leading(Selection):
    """The first token of each response."""

    def keep(self, batch: Batch, advantage_N: Array) -> npt.NDArray[np.bool_]:
        return batch.step.tokens.position_N == 0


class CountsFirst(Grpo):
    """Trains the first token of each response, and measures 2 of those and 1000 of every other."""

    def point(self) -> Point:
        return replace(super().point(), selection=(Leading(),))

    def measures(
        self, logp: Mapping[Need, torch.Tensor], advantage_n: torch.Tensor, tokens: Tokens
    ) -> Mapping[str, torch.Tensor]:
        return {"two": torch.where(torch.from_numpy(tokens.position_N) == 0, 2.0, 1000.0)}


def test_a_measure_is_a_mean_over_trained_tokens_alone() -> None:
    trained = make_trainer(tiny_policy(), CountsFirst(), updates_per_batch=2).train(random_step(4, 4))
    assert trained.trained_tokens == 16
    assert trained.measures["two"] == 2.0


@pytest.mark.parametrize("updates", [1, 2])
def test_the_share_of_tokens_that_selections_keep_is_a_metric_of_the_step(updates: int) -> None:
    step = random_step(4, 4)
    objective = PolicyGradient(advantage=Signed(), surrogate=Plain(), selection=(Leading(),))
    trained = make_trainer(tiny_policy(), objective, updates_per_batch=updates).train(step)
    assert trained.trained_tokens == 16
    assert trained.measures["selected"] == 16 / step.tokens.num_tokens
