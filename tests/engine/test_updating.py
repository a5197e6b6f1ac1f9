"""An update: gradients that are small pass as they are, large ones are cut to a length, and nothing is applied in part."""

import pytest
import torch
from prerl_components.optimizers import adamw
from prerl_components.optimizers.adamw import Adamw

from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.updater import Updater, _count
from tests.engine.outside_cases import RecordingSgd

BOUND = 2.0


def updated(gradient: list[float]) -> tuple[torch.Tensor, float]:
    """What a parameter of zeros becomes under plain SGD with lr 1 and a bound of 2, and the norm that is reported."""
    parameter = torch.nn.Parameter(torch.zeros(len(gradient)))
    updater = Updater(RecordingSgd(lr=1.0, max_grad_norm=BOUND), [("w", parameter)], Ranks.start())
    parameter.grad = torch.tensor(gradient)
    record = updater.apply()
    return parameter.detach(), record.grad_norm


def test_a_gradient_within_the_bound_is_applied_as_it_is() -> None:
    weight, norm = updated([0.3, -0.4])
    assert torch.equal(weight, torch.tensor([-0.3, 0.4]))
    assert norm == pytest.approx(0.5)


def test_a_gradient_beyond_the_bound_keeps_its_direction_and_gets_the_bounds_length() -> None:
    weight, norm = updated([30.0, -40.0])
    torch.testing.assert_close(weight, torch.tensor([-1.2, 1.6]))
    assert norm == pytest.approx(50.0), "the reported norm is that before the cut"


def test_no_gradient_moves_nothing() -> None:
    weight, norm = updated([0.0, 0.0])
    assert torch.equal(weight, torch.zeros(2))
    assert norm == 0.0


def test_gradients_of_one_update_are_gone_before_the_next() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    updater = Updater(RecordingSgd(lr=1.0, max_grad_norm=BOUND), [("w", parameter)], Ranks.start())
    for _ in range(2):
        parameter.grad = torch.ones(1) if parameter.grad is None else parameter.grad + 1
        updater.apply()
    assert parameter.item() == -2.0


def test_the_learning_rate_is_the_declared_one_times_its_factor_of_the_step() -> None:
    class Halving(RecordingSgd):
        def lr_factor(self, step: int, num_steps: int | None) -> float:
            return 0.5**step

    parameter = torch.nn.Parameter(torch.zeros(1))
    updater = Updater(Halving(lr=0.8, max_grad_norm=BOUND), [("w", parameter)], Ranks.start())
    assert [updater.set_lr(step, 3) for step in range(3)] == pytest.approx([0.8, 0.4, 0.2])
    parameter.grad = torch.ones(1)
    updater.apply()
    assert parameter.item() == pytest.approx(-0.2)


def test_a_fused_optimizer_goes_on_from_the_state_of_an_unfused_one_and_the_other_way_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def after_two_updates(first: bool, second: bool) -> torch.Tensor:
        parameter = torch.nn.Parameter(torch.ones(3))
        state: dict[str, torch.Tensor] = {}
        for fused in (first, second):
            monkeypatch.setattr(adamw, "FUSED_ON", {"cpu"} if fused else set())
            updater = Updater(Adamw(lr=0.1), [("w", parameter)], Ranks.start())
            updater.load_state(state)
            parameter.grad = torch.tensor([0.3, -0.4, 0.01])
            updater.apply()
            state = updater.state()
        return parameter.detach()

    steady = after_two_updates(False, False)
    assert not torch.equal(steady, torch.ones(3))
    for first, second in ((True, False), (False, True)):
        torch.testing.assert_close(after_two_updates(first, second), steady)


def test_a_fused_optimizer_counts_its_steps_where_the_parameter_is() -> None:
    count, parameter = torch.tensor(3.0), torch.zeros(2, device="meta")
    assert _count(count, parameter, {"fused": True}).device.type == "meta"
    assert _count(count, parameter, {"fused": None}) is count
