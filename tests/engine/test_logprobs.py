"""Blocks of the vocabulary, and tiles of tokens, change memory, never a log-probability, an entropy or a gradient."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from prerl_spec.engine.policy import logprobs
from prerl_spec.engine.policy.head import blocks
from prerl_spec.engine.policy.logprobs import chosen_logprobs

N, D, V = 37, 8, 50


@pytest.fixture(autouse=True)
def tiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven columns a block, the last of one; four tokens a tile."""
    monkeypatch.setattr(logprobs, "TILE_ELEMENTS", 4 * V)
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 7 * N)
    monkeypatch.setattr(blocks, "LEAST_COLUMNS", 1)


def _inputs(*, bias: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.nn.Linear]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(N, D, generator=generator, requires_grad=True)
    head = torch.nn.Linear(D, V, bias=bias)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return hidden, torch.randint(0, V, (N,), generator=generator), head


def _called(head: torch.nn.Linear) -> Callable[[torch.Tensor], torch.Tensor]:
    """A head that may be more than a matrix."""
    return lambda hidden: head(hidden)


@pytest.mark.parametrize("as_matrix", [True, False])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_blocks_and_tiles_give_the_log_softmax_the_entropy_and_their_gradients(
    temperature: float, bias: bool, as_matrix: bool
) -> None:
    hidden, target, head = _inputs(bias=bias)
    called: Any = head if as_matrix else _called(head)
    logp, entropy, _ = chosen_logprobs(hidden, target, called, vocab_size=V, temperature=temperature, entropy=True)
    assert entropy is not None
    plain = (head(hidden) / temperature).log_softmax(-1)
    torch.testing.assert_close(logp, plain[range(N), target])
    expected_entropy = -(plain.exp() * plain).sum(-1)
    torch.testing.assert_close(entropy, expected_entropy)
    coefficients = torch.linspace(-1, 2, N)
    leaves = (hidden, *head.parameters())
    for ours, theirs in (
        (logp, plain[range(N), target]),
        (entropy, expected_entropy),
        (logp + 2 * entropy, plain[range(N), target] + 2 * expected_entropy),
    ):
        found = torch.autograd.grad((coefficients * ours).sum(), leaves, retain_graph=True)
        wanted = torch.autograd.grad((coefficients * theirs).sum(), leaves, retain_graph=True)
        for one, other in zip(found, wanted, strict=True):
            # A sum of some hundred rounded products each.
            torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-5)


def _kept(head: Any, weight: torch.Tensor, entropy: bool) -> int:
    """Elements that the backward pass of N tokens finds stored, each storage once; the head's weight is not counted."""
    hidden, target, _ = _inputs()
    kept: dict[int, int] = {weight.data_ptr(): 0}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor.numel())
        stored.append(tensor)  # so that no address is used twice
        return tensor

    stored: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        made = chosen_logprobs(hidden, target, head, vocab_size=V, temperature=0.7, entropy=entropy)
    assert made[0].requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("entropy", [False, True])
@pytest.mark.parametrize("as_matrix", [True, False])
def test_entries_that_a_model_masks_have_no_part_in_anything(as_matrix: bool, entropy: bool) -> None:
    """Two blocks hold nothing else, two hold some: as if the vocabulary ended before them."""
    hidden, target, head = _inputs(bias=True)
    target = target.clamp(max=22)
    with torch.no_grad():
        head.bias[24:44] = -torch.inf
    living = torch.tensor([*range(24), *range(44, V)])
    called: Any = head if as_matrix else _called(head)
    found = chosen_logprobs(hidden, target, called, vocab_size=V, temperature=0.6, entropy=entropy)
    plain = (head(hidden)[:, living] / 0.6).log_softmax(-1)
    ours, theirs = found.logp_n, plain[range(N), target]
    if found.entropy_n is not None:
        ours, theirs = ours + 2 * found.entropy_n, theirs - 2 * (plain.exp() * plain).sum(-1)
    torch.testing.assert_close(ours, theirs)
    for one, other in zip(
        torch.autograd.grad(ours.sum(), (hidden, head.weight)),
        torch.autograd.grad(theirs.sum(), (hidden, head.weight)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("as_matrix", [True, False])
@pytest.mark.parametrize("entropy", [False, True])
def test_no_logits_are_kept_for_the_backward_pass(
    entropy: bool, as_matrix: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What stays is hidden states, targets, normalisers and entropies; all logits together are N x V.
    head = _inputs()[2]
    assert _kept(head if as_matrix else _called(head), head.weight, entropy) <= N * (D + 3)
    if not as_matrix:
        monkeypatch.setattr(logprobs, "TILE_ELEMENTS", N * V)
        assert _kept(_called(head), head.weight, entropy) >= N * V, "one tile is not computed again: the count sees it"


class _Sizes(TorchDispatchMode):
    """The largest tensors that operations have made, and how often a tensor was cast to another dtype, by its shape."""

    def __init__(self) -> None:
        super().__init__()
        self.largest: dict[torch.Size, int] = {}
        self.casts: list[torch.Size] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(tensor, torch.Tensor):
                self.largest[tensor.shape] = tensor.numel()
        if function is torch.ops.aten._to_copy.default:
            self.casts.append(args[0].shape)
        return made


@pytest.mark.parametrize("entropy", [False, True])
def test_no_operation_makes_more_than_a_block_of_logits(entropy: bool) -> None:
    """The largest tensors are the head's gradient and the hidden states'."""
    hidden, target, head = _inputs()
    with _Sizes() as sizes:
        found = chosen_logprobs(hidden, target, head, vocab_size=V, temperature=0.7, entropy=entropy)
        (found.logp_n.sum() if found.entropy_n is None else (found.logp_n + found.entropy_n).sum()).backward()
    assert max(sizes.largest.values()) == max(V * D, N * D)
    assert sizes.largest[torch.Size((N, 7))] == 7 * N
    assert not {shape for shape in sizes.largest if shape[:1] == (N,) and shape[1:] > (8,)}


def test_autocast_casts_the_head_once_a_call_not_once_a_block() -> None:
    hidden, target, head = _inputs()
    with _Sizes() as sizes:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logp = chosen_logprobs(hidden, target, head, vocab_size=V, temperature=1.0).logp_n
        logp.sum().backward()
    assert sizes.casts.count(torch.Size((V, D))) == 1
    assert logp.dtype == torch.float32
    assert head.weight.grad is not None
    assert head.weight.grad.dtype == torch.float32


def test_under_autocast_values_and_gradients_are_those_of_the_module_under_autocast() -> None:
    hidden, target, head = _inputs(bias=True)
    found = []
    for called in (head, _called(head)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logp = chosen_logprobs(hidden, target, called, vocab_size=V, temperature=0.8).logp_n
        found.append((logp, *torch.autograd.grad(logp.sum(), (hidden, *head.parameters()))))
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype
        # Logits of some units rounded to 8 bits.
        torch.testing.assert_close(one, other, atol=0.05, rtol=0.02)


def test_a_frozen_head_gets_no_gradient_and_costs_none() -> None:
    hidden, target, head = _inputs(bias=True)
    head.requires_grad_(False)
    with _Sizes() as sizes:
        chosen_logprobs(hidden, target, head, vocab_size=V, temperature=1.0).logp_n.sum().backward()
    assert head.weight.grad is None
    assert hidden.grad is not None
    assert torch.Size((V, D)) not in sizes.largest, "no room for a gradient is made"


def test_a_weight_that_is_embedding_and_head_gets_both_gradients() -> None:
    _, target, head = _inputs()
    ids = torch.arange(N) % V

    def hidden() -> torch.Tensor:
        return torch.nn.functional.embedding(ids, head.weight).tanh()

    logp = chosen_logprobs(hidden(), target, head, vocab_size=V, temperature=1.0).logp_n
    (ours,) = torch.autograd.grad(logp.sum(), head.weight)
    plain = head(hidden()).log_softmax(-1)[range(N), target]
    (theirs,) = torch.autograd.grad(plain.sum(), head.weight)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changed", ["hook", "forward", "class"])
def test_a_head_that_is_more_than_its_weight_is_called(changed: str) -> None:
    hidden, target, head = _inputs()
    expected = (2 * head(hidden)).log_softmax(-1)[range(N), target]
    if changed == "hook":
        head.register_forward_hook(lambda module, inputs, output: 2 * output)
    elif changed == "forward":
        head.forward = lambda h: 2 * torch.nn.Linear.forward(head, h)  # type: ignore[method-assign]
    else:
        head.__class__ = _Twice
    torch.testing.assert_close(chosen_logprobs(hidden, target, head, vocab_size=V, temperature=1.0).logp_n, expected)


class _Twice(torch.nn.Linear):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(input)


def test_the_largest_logits_of_a_called_head_are_those_of_one_tile() -> None:
    hidden, target, head = _inputs()
    sizes: list[int] = []

    def watched(h: torch.Tensor) -> torch.Tensor:
        sizes.append(h.shape[0] * V)
        logits: torch.Tensor = head(h)
        return logits

    with torch.no_grad():
        chosen_logprobs(hidden, target, watched, vocab_size=V, temperature=1.0, entropy=False)
    assert max(sizes) == 4 * V
    assert sum(sizes) == N * V


def test_bf16_hidden_states_give_float32_log_probabilities() -> None:
    hidden, target, head = _inputs()
    head = head.to(torch.bfloat16)
    logp = chosen_logprobs(hidden.bfloat16(), target, head, vocab_size=V, temperature=1.0).logp_n
    assert logp.dtype == torch.float32


@pytest.mark.parametrize("as_matrix", [True, False])
def test_no_token_gives_an_empty_vector(as_matrix: bool) -> None:
    hidden, target, head = _inputs()
    called: Any = head if as_matrix else _called(head)
    logp = chosen_logprobs(hidden[:0], target[:0], called, vocab_size=V, temperature=1.0).logp_n
    assert logp.shape == (0,)


@pytest.mark.parametrize("as_matrix", [True, False])
def test_a_token_is_top_where_greedy_decoding_would_choose_it(as_matrix: bool) -> None:
    hidden, target, head = _inputs()
    likeliest = head(hidden).argmax(-1)
    target[::2] = likeliest[::2]
    called: Any = head if as_matrix else _called(head)
    found = chosen_logprobs(hidden, target, called, vocab_size=V, temperature=1.0, is_top=True)
    assert found.is_top_n is not None
    assert found.is_top_n.tolist() == (target == likeliest).tolist()
    assert {True, False} == set(found.is_top_n.tolist())
    assert found.entropy_n is None
