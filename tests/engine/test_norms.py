"""Norms that are computed in fewer operations have the values, gradients and names of the model's own."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, Gemma2Config, Olmo2Config

from prerl_spec.engine.policy.norms import FusedNorms, fuse_norms
from prerl_spec.testing.tiny import tiny_config, tiny_model

OTHERS: dict[str, Any] = {"gemma2": Gemma2Config, "olmo2": Olmo2Config}
EXPECTED = {"qwen3": 9, "llama": 5, "gpt2": 0, "gemma2": 9, "olmo2": 9}


def model_of(family: str) -> Any:
    """Two layers; every norm's weight is drawn, so that none is all ones."""
    if family in OTHERS:
        told = tiny_config("llama").to_dict()
        names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
        untyped: Any = AutoModelForCausalLM
        config = OTHERS[family](**{n: told[n] for n in names}, head_dim=16, intermediate_size=64, pad_token_id=None)
        model = untyped.from_config(config, dtype=torch.float32)
    else:
        model = tiny_model(family)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter += torch.rand(parameter.shape, generator=generator)
    return model.eval()


def loss_and_gradients(model: Any, *, half: bool) -> list[Tensor]:
    ids = torch.arange(1, 25)[None]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        logits = model(input_ids=ids, use_cache=False).logits.float()
    loss = logits.log_softmax(-1)[0, :-1].gather(-1, ids[0, 1:, None]).mean()
    return [logits, *torch.autograd.grad(loss, list(model.parameters()))]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("family", EXPECTED)
def test_a_model_with_fused_norms_has_the_same_logits_and_gradients(family: str, half: bool) -> None:
    model = model_of(family)
    fused = deepcopy(model)
    assert fuse_norms(fused, torch.bfloat16) == FusedNorms(EXPECTED[family], EXPECTED[family])
    for ours, theirs in zip(loss_and_gradients(fused, half=half), loss_and_gradients(model, half=half), strict=True):
        assert ours.dtype == theirs.dtype
        # In 16 bits a rounding less in each of the norms.
        bound = 0.05 if half else 1e-5
        assert (ours - theirs).norm() <= bound * theirs.norm()


def test_names_and_weights_stay_and_a_copy_has_its_own() -> None:
    model = model_of("qwen3")
    keys = list(model.state_dict())
    assert str(fuse_norms(model, torch.float32)) == "9 of 9"
    assert list(model.state_dict()) == keys
    copy = deepcopy(model)
    with torch.no_grad():
        copy.model.norm.weight.mul_(2.0)
    hidden = torch.randn(3, 32)
    assert torch.equal(copy.model.norm(hidden), 2 * model.model.norm(hidden))


class CentredRMSNorm(nn.Module):
    """Subtracts the mean, which no form does."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(16))
        self.eps = 1e-6

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return self.weight * centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + self.eps)


class OtherEpsRMSNorm(CentredRMSNorm):
    """Adds ε outside the root: it matters for small inputs only."""

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x / (x.pow(2).mean(-1, keepdim=True).sqrt() + self.eps)


class GatedRMSNorm(CentredRMSNorm):
    def forward(self, x: Tensor, gate: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x) * gate


class ScaledRMSNorm(CentredRMSNorm):
    """With a second parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(16))


@pytest.mark.parametrize("norm", [CentredRMSNorm(), OtherEpsRMSNorm(), GatedRMSNorm(), ScaledRMSNorm()], ids=repr)
def test_a_norm_that_does_anything_else_keeps_its_forward(norm: nn.Module) -> None:
    assert fuse_norms(nn.Sequential(norm), torch.float32) == FusedNorms(0, 1)
    assert "forward" not in vars(norm)


def test_a_norm_keeps_its_input_and_a_number_a_row_for_the_backward_pass() -> None:
    model = nn.Sequential(model_of("llama").model.norm)
    hidden = torch.randn(40, 32, requires_grad=True)

    def kept() -> int:
        stored: dict[int, Tensor] = {}
        with torch.autograd.graph.saved_tensors_hooks(lambda t: stored.setdefault(t.data_ptr(), t), lambda t: t):
            model(hidden)
        return sum(t.numel() for t in stored.values())

    before = kept()
    fuse_norms(model, torch.float32)
    assert kept() == 40 * 32 + 40 + 32
    assert before > 2 * 40 * 32


@pytest.mark.parametrize("rows", [1, 3, 400])
def test_values_with_and_without_gradient_are_equal_bit_for_bit(rows: int) -> None:
    """Old log-probabilities are computed without, current ones with gradient: ρ = 1 before anything has moved."""
    norm = model_of("llama").model.norm
    fuse_norms(nn.Sequential(norm), torch.float32)
    hidden = torch.randn(rows, 32, generator=torch.Generator().manual_seed(rows))
    with torch.no_grad():
        without = norm(hidden)
    assert torch.equal(norm(hidden), without)


def test_a_frozen_weight_and_a_hidden_state_without_gradient_get_none() -> None:
    norm = model_of("llama").model.norm
    fuse_norms(nn.Sequential(norm), torch.float32)
    plain = torch.randn(4, 32)
    norm(plain).sum().backward()
    assert norm.weight.grad is not None
    norm.weight.grad = None
    hidden = plain.clone().requires_grad_()
    norm.requires_grad_(False)
    norm(hidden).sum().backward()
    assert norm.weight.grad is None
    assert hidden.grad is not None
