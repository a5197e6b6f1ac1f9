"""The laws of adapters: no change at first, never a change of the base model, and files that hold all that was learned."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.model import Adapter, AttachedAdapter
from prerl_spec.testing.laws.together import Laws
from prerl_spec.testing.tiny import tiny_model


def check_adapter(component: Component) -> None:
    """Attaches the adapter to a small model twice, moves it, turns it off, saves it and reads it back."""
    with Laws(component):
        plain, first, second = (tiny_model().eval() for _ in range(3))
        given = {name: p.detach().clone() for name, p in plain.named_parameters()}
        state = torch.get_rng_state()
        one, other = (_attached(component, module) for module in (first, second))
        assert torch.equal(torch.get_rng_state(), state), "attach() changes the global random generator"
        again = other.parameters()
        for name, parameter in one.parameters().items():
            assert parameter.requires_grad, f"{name} is not trained"
            assert parameter.dtype == torch.float32, f"{name} is {parameter.dtype}: trained weights are float32"
            assert torch.equal(parameter, again[name]), f"{name} differs between two adapters of one seed"
        trained = {name for name, p in first.named_parameters() if p.requires_grad}
        assert trained == set(one.parameters()), f"trained, but not parameters of the adapter: {trained - set(again)}"
        assert torch.equal(_logits(first), _logits(plain)), "the adapter changes the model's output before training"
        with torch.no_grad():
            for parameter in one.parameters().values():
                parameter.add_(0.01)
        assert not torch.equal(_logits(first), _logits(plain)), (
            "changing the adapter's parameters does not change the model's output"
        )
        with one.off():
            assert torch.equal(_logits(first), _logits(plain)), (
                "the model inside off() differs from the model without the adapter"
            )
        weights = {name: weight for name, weight, _ in one.weights()}
        assert weights.keys() == given.keys(), (
            f"weights() and the model differ in the names {sorted(weights.keys() ^ given.keys())}"
        )
        assert all(torch.equal(weights[name], value) for name, value in given.items()), (
            "a weight of the base model has changed"
        )
        _check_sum(one, plain, _logits(first))
        _check_files(one)


def _attached(component: Any, module: torch.nn.Module) -> AttachedAdapter:
    declared: Adapter = component
    return declared.attach(module, "tiny", None, 0)


def _check_sum(adapter: AttachedAdapter, plain: Any, expected: Tensor) -> None:
    changes = {name: change for name, _, change in adapter.weights() if change is not None}
    with torch.no_grad():
        for name, change in changes.items():
            plain.get_parameter(name).add_(change(torch.Tensor.detach))
    gap = (_logits(plain) - expected).abs().max().item()
    assert gap < 1e-3, f"logits of weights() plus changes differ by {gap:.1e} from those of model and adapter"


def _check_files(adapter: AttachedAdapter) -> None:
    values = {name: p.detach().clone() for name, p in adapter.parameters().items()}
    with tempfile.TemporaryDirectory() as folder:
        adapter.save(Path(folder), values)
        back = adapter.read(Path(folder))
    assert back.keys() == values.keys(), "read() returns other names than parameters()"
    assert all(torch.equal(back[name], value) for name, value in values.items()), (
        "read() returns other values than were saved"
    )


@torch.no_grad()
def _logits(model: Any) -> Tensor:
    found: Tensor = model(input_ids=torch.arange(24)[None] * 7).logits
    return found
