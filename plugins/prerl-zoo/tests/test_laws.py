"""The laws of surrogates, those of objectives for `policy_gradient` with each in it, and masked tokens."""

from typing import Literal

import numpy as np
import pytest
import torch
from prerl_components.advantages.group_std import GroupStd
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_spec.sdk import Surrogate
from prerl_spec.testing.laws import check_objective, check_surrogate
from prerl_spec.testing.steps import made_step

from prerl_zoo.aspo import Aspo
from prerl_zoo.ce_gppo import CeGppo
from prerl_zoo.dro import Dro
from prerl_zoo.fipo import Fipo
from prerl_zoo.gmpo import Gmpo
from prerl_zoo.luspo import Luspo
from prerl_zoo.vespo import Vespo

SURROGATES: tuple[Surrogate, ...] = (
    Aspo(),
    Aspo(clip_low=0.1, clip_high=0.5, dual_clip=1.5),
    CeGppo(),
    CeGppo(beta_low=0.0, beta_high=2.0),
    Dro(),
    Dro(beta=0.1),
    Fipo(),
    Fipo(low=0.5, high=4.0, half_life=2.0, safety=2.0, dual_clip=3.0),
    Gmpo(),
    Gmpo(clip_low=0.1, clip_high=1.0),
    Luspo(),
    Luspo(clip_low=0.5, clip_high=0.5),
    Vespo(),
    Vespo(power_right=1.0, decay_right=1.0, power_wrong=1.0, decay_wrong=1.0),
)


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean", "constant"])
@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_a_policy_gradient_with_it_obeys_the_laws_of_objectives(
    surrogate: Surrogate, aggregation: Literal["token_mean", "sequence_mean", "constant"]
) -> None:
    check_objective(PolicyGradient(advantage=GroupStd(), surrogate=surrogate, aggregation=aggregation))


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_it_obeys_the_laws_of_surrogates(surrogate: Surrogate) -> None:
    check_surrogate(surrogate)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_a_token_without_weight_has_exactly_no_gradient(surrogate: Surrogate) -> None:
    tokens = made_step([[1.0, 0.0]], lengths=[4, 3]).tokens
    random = np.random.default_rng(2)
    logp_n = torch.tensor(random.uniform(-3, 0, 7), requires_grad=True)
    weight_n = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    advantage_n = torch.tensor([0.5] * 4 + [-0.5] * 3, dtype=torch.float64)
    loss_n = surrogate.loss(logp_n, torch.tensor(random.uniform(-3, 0, 7)), advantage_n, tokens, {})
    torch.autograd.backward((weight_n * loss_n).sum())
    assert logp_n.grad is not None
    assert not logp_n.grad[weight_n == 0].any()
