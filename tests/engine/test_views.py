"""What stands before a response decides which gradient it gives."""

import pytest
import torch
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr, MarginalPg, MarginalPsr
from prerl_components.optimizers.adamw import Adamw

from prerl_spec.engine.training import updater
from prerl_spec.errors import RunFailed
from tests.engine.steps import gradient_of, make_trainer, random_step, tiny_policy, with_rewards

ONE = random_step(questions="What is {}?")
OTHER = random_step(questions="Please add up all of this and say {}!")


@pytest.mark.parametrize("objective", [MarginalPg(), MarginalNsr(), MarginalPsr(), MarginalNsr(center="group")])
def test_other_questions_give_bit_equal_marginal_gradients(objective: MarginalPg) -> None:
    policy = tiny_policy()
    first, second = (gradient_of(make_trainer(policy, objective), step) for step in (ONE, OTHER))
    assert first.norm() > 0
    assert torch.equal(first, second)


def test_other_questions_give_other_conditional_gradients() -> None:
    policy = tiny_policy()
    first, second = (gradient_of(make_trainer(policy, Grpo()), step) for step in (ONE, OTHER))
    assert (first - second).norm() > 0.1 * first.norm()


def test_another_prefix_gives_another_marginal_gradient() -> None:
    policy = tiny_policy()
    first, second = (gradient_of(make_trainer(policy, MarginalNsr(prefix=p)), ONE) for p in ("auto", "\n"))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_all_right_or_all_wrong_moves_no_weight_and_is_no_nan(reward: float) -> None:
    policy = tiny_policy()
    before = {n: p.detach().clone() for n, p in policy.parameters()}
    trainer = make_trainer(policy, Grpo(), optimizer=Adamw(lr=1e-2, weight_decay=0.5))
    trained = trainer.train(with_rewards(ONE, reward))
    assert (trained.num_updates, trained.updates, trained.loss) == (1, (), 0.0)
    assert all(torch.equal(before[n], p) for n, p in policy.parameters())
    assert not policy.forwards


def test_several_updates_a_batch_take_old_log_probs_once_before_the_first() -> None:
    policy = tiny_policy()
    trained = make_trainer(policy, Grpo(), updates_per_batch=2).train(ONE)
    carrying = policy.forwards[("conditional", "policy")]
    assert len(trained.updates) == 2
    assert policy.forwards[("conditional", "old")] == carrying


def test_20_updates_at_lr_1e_6_under_bf16_compute_move_99_percent_of_the_parameters() -> None:
    loaded = tiny_policy().loaded
    object.__setattr__(loaded, "compute_dtype", torch.bfloat16)
    from prerl_spec.engine.policy.policy import Policy

    policy = Policy(loaded, torch.device("cpu"))
    before = torch.cat([p.detach().reshape(-1).clone() for _, p in policy.parameters()])
    trainer = make_trainer(policy, Grpo(), optimizer=Adamw(lr=1e-6))
    for seed in range(20):
        trainer.train(random_step(seed=seed))
    after = torch.cat([p.detach().reshape(-1) for _, p in policy.parameters()])
    assert after.dtype == torch.float32
    assert (before != after).double().mean() >= 0.99


def test_a_single_parameter_that_is_not_finite_after_an_update_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where only every third entry is watched for movement, as in models of several million parameters."""
    policy = tiny_policy()
    total = sum(p.numel() for _, p in policy.parameters())
    monkeypatch.setattr(updater, "_WATCHED_ENTRIES", total // 3)
    trainer = make_trainer(policy, Grpo())
    with torch.no_grad():
        policy.parameters()[-1][1].view(-1)[1] = torch.inf
    trainer.updater.summed_gradients()
    with pytest.raises(RunFailed, match="parameter is not finite"):
        trainer.updater.apply()


def test_a_gradient_that_is_not_finite_is_never_applied() -> None:
    policy = tiny_policy()
    trainer = make_trainer(policy, Grpo())
    before = {n: p.detach().clone() for n, p in policy.parameters()}
    name, parameter = policy.parameters()[3]
    handle = parameter.register_hook(lambda g: g * float("nan"))
    with pytest.raises(RunFailed, match="not finite"):
        trainer.train(ONE)
    handle.remove()
    assert all(torch.equal(before[n], p) for n, p in policy.parameters()), name
    assert len(trainer.train(ONE).updates) == 1
