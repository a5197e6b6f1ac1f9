"""The laws of optimizers: each parameter once, and the same steps after a restart."""

import copy
from typing import Any

import torch

from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.schedule import Optimizer
from prerl_spec.testing.laws.together import Laws
from prerl_spec.testing.tiny import tiny_model


def check_optimizer(optimizer: Component) -> None:
    """Raises AssertionError, with a message, if an optimizer breaks a law; takes steps on a tiny model."""
    with Laws(optimizer):
        named: Any = optimizer
        plan: Optimizer = named
        assert plan.max_grad_norm > 0, f"max_grad_norm is {plan.max_grad_norm}"
        for step in (0, 1, 7, 9):
            factor = plan.lr_factor(step, 10)
            assert 0 <= factor <= 1, f"lr_factor({step}, 10) is {factor}"
        _check_partition(plan)
        _check_restart(plan)


def _check_partition(plan: Optimizer) -> None:
    model = tiny_model()
    trained = [p for o in plan.build(model.named_parameters()) for g in o.param_groups for p in g["params"]]
    assert len({id(p) for p in trained}) == len(trained), "a parameter is in two groups"
    wanted = {id(p) for p in model.parameters()}
    assert {id(p) for p in trained} == wanted, "a parameter is in no group, or a group has one that is not the model's"


def _check_restart(plan: Optimizer) -> None:
    """Two steps in a row, and two with the state saved and loaded between them, end with the same weights."""
    whole, halves = tiny_model(), tiny_model()
    steady = plan.build(whole.named_parameters())
    _step(whole, steady, seed=1)
    _step(whole, steady, seed=2)
    first = plan.build(halves.named_parameters())
    _step(halves, first, seed=1)
    second = plan.build(halves.named_parameters())
    for fresh, old in zip(second, first, strict=True):
        fresh.load_state_dict(copy.deepcopy(old.state_dict()))
    _step(halves, second, seed=2)
    untouched = dict(tiny_model().named_parameters())
    for (name, steadily), resumed in zip(whole.named_parameters(), halves.parameters(), strict=True):
        assert not torch.equal(steadily, untouched[name]), f"{name} did not change after steps with a gradient"
        assert torch.equal(steadily, resumed), f"{name} differs after a restart between two steps"


def _step(model: Any, optimizers: list[torch.optim.Optimizer], *, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    for optimizer in optimizers:
        optimizer.step()
