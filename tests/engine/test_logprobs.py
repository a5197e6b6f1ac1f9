"""Tiles change memory, never a log-probability, an entropy or a gradient."""

import pytest
import torch

from prerl_spec.engine.policy import logprobs
from prerl_spec.engine.policy.logprobs import chosen_logprobs

N, D, V = 37, 8, 50


@pytest.fixture
def tiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logprobs, "TILE_ELEMENTS", 4 * V)


def _inputs() -> tuple[torch.Tensor, torch.Tensor, torch.nn.Linear]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(N, D, generator=generator, requires_grad=True)
    head = torch.nn.Linear(D, V, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.randn(V, D, generator=generator))
    return hidden, torch.randint(0, V, (N,), generator=generator), head


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_tiles_give_the_log_softmax_the_entropy_and_their_gradients(tiled: None, temperature: float) -> None:
    hidden, target, head = _inputs()
    logp, entropy, _ = chosen_logprobs(hidden, target, head, vocab_size=V, temperature=temperature, entropy=True)
    assert entropy is not None
    plain = (head(hidden) / temperature).log_softmax(-1)
    torch.testing.assert_close(logp, plain[range(N), target])
    # log Z − E[logit] loses a few digits where one token has nearly all the mass.
    torch.testing.assert_close(entropy, -(plain.exp() * plain).sum(-1), atol=3e-5, rtol=1e-5)
    coefficients = torch.linspace(-1, 2, N)
    ours = torch.autograd.grad((coefficients * (logp + entropy)).sum(), (hidden, head.weight))
    expected = plain[range(N), target] - (plain.exp() * plain).sum(-1)
    theirs = torch.autograd.grad((coefficients * expected).sum(), (hidden, head.weight))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def _kept(entropy: bool) -> int:
    """Elements that the backward pass of N tokens finds stored, each storage once; the head's weight is not counted."""
    hidden, target, head = _inputs()
    kept: dict[int, int] = {head.weight.data_ptr(): 0}

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
def test_no_logits_are_kept_for_the_backward_pass(tiled: None, entropy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # What stays is a tile's inputs, hidden states and targets; all tiles' logits together are N x V.
    assert _kept(entropy) <= N * (D + 1)
    monkeypatch.setattr(logprobs, "TILE_ELEMENTS", N * V)
    assert _kept(entropy) >= N * V, "one tile is not computed again: the count sees logits where they are kept"


def test_the_largest_logits_are_those_of_one_tile(tiled: None) -> None:
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


def test_no_token_gives_an_empty_vector() -> None:
    hidden, target, head = _inputs()
    logp = chosen_logprobs(hidden[:0], target[:0], head, vocab_size=V, temperature=1.0).logp_n
    assert logp.shape == (0,)


def test_a_token_is_top_where_greedy_decoding_would_choose_it(tiled: None) -> None:
    hidden, target, head = _inputs()
    likeliest = head(hidden).argmax(-1)
    target[::2] = likeliest[::2]
    found = chosen_logprobs(hidden, target, head, vocab_size=V, temperature=1.0, is_top=True)
    assert found.is_top_n is not None
    assert found.is_top_n.tolist() == (target == likeliest).tolist()
    assert {True, False} == set(found.is_top_n.tolist())
    assert found.entropy_n is None
