"""Optimizers: the same steps as torch's, which parameters go where, and how the learning rate moves."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from prerl_components.optimizers.adamw import Adamw
from prerl_components.optimizers.learning_rate import LearningRate
from prerl_components.optimizers.muon import Muon

from prerl_spec.sdk import EnvironmentUnmet
from prerl_spec.testing.laws import check_optimizer
from prerl_spec.testing.tiny import SHAPES, Shape, tiny_model

Build = Callable[[Any], list[torch.optim.Optimizer]]


@pytest.mark.parametrize(
    "optimizer",
    [
        Adamw(lr=1e-3),
        Adamw(lr=1e-3, weight_decay=0.1, lr_schedule="cosine", warmup_steps=3),
        Muon(lr=0.02, adamw_lr=3e-3, weight_decay=0.1, lr_schedule="linear", final_lr_fraction=0.1),
    ],
    ids=repr,
)
def test_every_optimizer_obeys_the_laws(optimizer: LearningRate) -> None:
    check_optimizer(optimizer)


def trained(build: Build, steps: int = 5) -> dict[str, torch.Tensor]:
    """The weights of a tiny model after steps of next-token prediction on one text."""
    model = tiny_model()
    optimizers = build(model)
    ids = torch.arange(40)[None] * 7 % 250
    for _ in range(steps):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    return {name: p.detach() for name, p in model.named_parameters()}


def assert_same_steps(build: Build, reference: Build) -> None:
    theirs = trained(reference)
    for name, weight in trained(build).items():
        assert torch.equal(weight, theirs[name]), name


def test_adamw_takes_the_steps_of_torch() -> None:
    ours = Adamw(lr=2e-3, betas=(0.9, 0.95), eps=1e-7, weight_decay=0.05)

    def torchs(model: Any, *, fused: bool) -> list[torch.optim.Optimizer]:
        settings: Any = {"lr": 2e-3, "betas": (0.9, 0.95), "eps": 1e-7, "weight_decay": 0.05, "fused": fused}
        return [torch.optim.AdamW(model.parameters(), **settings)]

    assert_same_steps(lambda m: ours.build(m.named_parameters()), lambda m: torchs(m, fused=True))
    unfused = trained(lambda m: torchs(m, fused=False))
    for name, weight in trained(lambda m: ours.build(m.named_parameters())).items():
        # Rounding of a few sums; a step is of size 2e-3.
        torch.testing.assert_close(weight, unfused[name], atol=1e-6, rtol=0, msg=name)


def test_adamw_is_fused_where_every_parameter_lies_on_a_device_that_can() -> None:
    on_cpu, elsewhere = (torch.nn.Parameter(torch.zeros(2, device=device)) for device in ("cpu", "meta"))
    asked = [[("a", on_cpu)], [("a", on_cpu), ("b", elsewhere)]]
    groups = [Adamw(lr=1e-3).build(named)[0].param_groups[0] for named in asked]
    assert [group["fused"] for group in groups] == [True, None]


def test_muon_takes_the_steps_of_torch_for_matrices_and_adamws_for_the_rest() -> None:
    ours = Muon(lr=0.02, momentum=0.9, adamw_lr=3e-3, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.01)

    def reference(model: Any) -> list[torch.optim.Optimizer]:
        blocks = list(model.model.layers.parameters())
        matrices = [p for p in blocks if p.ndim == 2]
        rest = [model.model.embed_tokens.weight, *(p for p in blocks if p.ndim != 2), model.model.norm.weight]
        return [
            torch.optim.Muon(matrices, lr=0.02, momentum=0.9, weight_decay=0.01),
            torch.optim.AdamW(rest, lr=3e-3, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.01, fused=True),
        ]

    assert_same_steps(lambda m: ours.build(m.named_parameters()), reference)


@pytest.mark.parametrize("shape", SHAPES)
def test_muon_leaves_embeddings_head_norms_and_positions_to_adamw(shape: Shape) -> None:
    model = tiny_model(shape)
    muon, adamw = Muon(lr=0.02).build(model.named_parameters())
    names = {id(p): name for name, p in model.named_parameters()}

    def of(optimizer: torch.optim.Optimizer) -> set[str]:
        return {names[id(p)] for group in optimizer.param_groups for p in group["params"]}

    assert len(of(muon)) == {"qwen3": 14, "llama": 14, "gpt2": 8, "opt": 12}[shape]
    kinds = ("embed", "wte", "wpe", "norm", "ln_", "bias")
    assert all(any(kind in name for kind in kinds) for name in of(adamw)), of(adamw)
    assert not any(any(kind in name for kind in kinds) for name in of(muon)), of(muon)


def test_muons_second_learning_rate_is_the_first_unless_written() -> None:
    parameters = list(tiny_model().named_parameters())
    assert [o.param_groups[0]["lr"] for o in Muon(lr=0.02).build(parameters)] == [0.02, 0.02]
    assert [o.param_groups[0]["lr"] for o in Muon(lr=0.02, adamw_lr=3e-3).build(parameters)] == [0.02, 3e-3]


def test_muon_refuses_a_model_without_hidden_matrices() -> None:
    lone: Iterable[Any] = [("embed.weight", torch.nn.Parameter(torch.zeros(4, 2)))]
    with pytest.raises(EnvironmentUnmet, match="no 2-D weight inside a numbered block"):
        Muon(lr=0.02).build(lone)


def test_moments_are_float32_as_the_weights_are() -> None:
    model = tiny_model()
    (optimizer,) = Adamw(lr=1e-3).build(model.named_parameters())
    model(input_ids=torch.arange(5)[None], labels=torch.arange(5)[None]).loss.backward()
    optimizer.step()
    moments = [v for state in optimizer.state.values() for v in state.values() if v.ndim]
    assert {m.dtype for m in moments} == {torch.float32}


def test_the_learning_rate_rises_then_falls_over_the_phase() -> None:
    def factors(**settings: Any) -> list[float]:
        return [round(Adamw(lr=1.0, **settings).lr_factor(s, 10), 6) for s in range(10)]

    assert factors() == [1.0] * 10
    assert factors(warmup_steps=4) == [0.25, 0.5, 0.75] + [1.0] * 7
    assert factors(lr_schedule="linear") == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert factors(lr_schedule="linear", warmup_steps=5, final_lr_fraction=0.5)[4:] == [1.0, 1.0, 0.9, 0.8, 0.7, 0.6]
    cosine = [round(0.05 + 0.95 * (1 + math.cos(math.pi * s / 10)) / 2, 6) for s in range(10)]
    assert factors(lr_schedule="cosine", final_lr_fraction=0.05) == cosine


def test_a_warm_up_longer_than_the_phase_just_rises() -> None:
    assert [Adamw(lr=1.0, lr_schedule="linear", warmup_steps=20).lr_factor(s, 3) for s in range(3)] == [0.05, 0.1, 0.15]
