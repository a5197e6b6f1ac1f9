"""The kept model of `try`: the weights that were saved, or none at all."""

from pathlib import Path
from typing import Any

import torch

from prerl_spec.engine.inspect.warm_up import WarmUp
from prerl_spec.engine.run.position import Position


class Weights:
    """What is read of a policy."""

    def __init__(self, **weights: torch.Tensor) -> None:
        self.weights = {name: torch.nn.Parameter(weight) for name, weight in weights.items()}

    def parameters(self) -> list[tuple[str, torch.nn.Parameter]]:
        return list(self.weights.items())


def test_the_saved_weights_and_position_are_those_that_are_loaded(tmp_path: Path) -> None:
    warm_up = WarmUp(tmp_path / "deep" / "kept.safetensors")
    learnt: Any = Weights(a=torch.tensor([1.0, -2.5]), b=torch.eye(2))
    fresh: Any = Weights(a=torch.zeros(2), b=torch.zeros(2, 2))
    assert warm_up.load(fresh) is None, "there is none yet"
    at = Position(step=500, global_step=500, updates=500, trained_tokens=12_345, over=True)
    warm_up.save(learnt, at)
    assert [file.name for file in warm_up.file.parent.iterdir()] == ["kept.safetensors"]
    assert warm_up.load(fresh) == at
    assert all(torch.equal(fresh.weights[name], weight) for name, weight in learnt.parameters())


def test_what_is_damaged_or_of_another_model_is_none_and_changes_nothing(tmp_path: Path) -> None:
    warm_up = WarmUp(tmp_path / "kept.safetensors")
    learnt: Any = Weights(a=torch.ones(2))
    warm_up.save(learnt, Position())
    for other in (Weights(a=torch.zeros(3)), Weights(b=torch.zeros(2)), Weights(a=torch.zeros(2), b=torch.zeros(1))):
        stranger: Any = other
        assert warm_up.load(stranger) is None
        assert not any(weight.any() for _, weight in other.parameters())
    warm_up.file.write_bytes(warm_up.file.read_bytes()[:-1])
    fresh: Any = Weights(a=torch.zeros(2))
    assert warm_up.load(fresh) is None
    assert not fresh.weights["a"].any()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder would be")
    learnt: Any = Weights(a=torch.ones(2))
    WarmUp(tmp_path / "taken" / "kept.safetensors").save(learnt, Position())
