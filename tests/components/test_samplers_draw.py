"""The draw follows the distribution it reports; truncation and uniforms do what their papers say."""

import math

import numpy as np
import pytest
import torch
from prerl_components.samplers.embedded.draw import BLOCK, UniformStreams, draw, log_distribution

from prerl_spec.sdk import Decoding

LOGITS = torch.log(torch.tensor([[0.5, 0.2, 0.15, 0.1, 0.05]]))


def kept(decoding: Decoding) -> list[float]:
    return [round(p, 6) for p in log_distribution(LOGITS, decoding).exp()[0].tolist()]


def test_truncation_keeps_the_likeliest_and_renormalises() -> None:
    assert kept(Decoding()) == [0.5, 0.2, 0.15, 0.1, 0.05]
    assert kept(Decoding(top_k=2)) == [round(5 / 7, 6), round(2 / 7, 6), 0, 0, 0]
    assert kept(Decoding(top_k=99)) == kept(Decoding())
    assert kept(Decoding(top_p=0.6)) == [round(5 / 7, 6), round(2 / 7, 6), 0, 0, 0]
    assert kept(Decoding(top_p=0.01)) == [1, 0, 0, 0, 0]
    # top_p counts what top_k leaves: of (5, 2, 1.5) / 8.5 the first two hold 0.82.
    assert kept(Decoding(top_k=3, top_p=0.8)) == [round(5 / 7, 6), round(2 / 7, 6), 0, 0, 0]


def test_temperature_divides_the_logits_before_truncation() -> None:
    squared = [p**2 for p in (0.5, 0.2, 0.15, 0.1, 0.05)]
    assert kept(Decoding(temperature=0.5)) == pytest.approx([p / sum(squared) for p in squared], abs=1e-6)
    assert kept(Decoding(temperature=0.5, top_p=0.6))[0] == 1
    assert kept(Decoding(temperature=0, top_p=0.5, top_k=1)) == kept(Decoding())


def test_the_draw_is_the_inverse_of_the_cumulative_distribution() -> None:
    uniforms = torch.tensor([0.0, 0.49, 0.51, 0.69, 0.71, 0.84, 0.86, 0.94, 0.96, 1 - 2**-53], dtype=torch.float64)
    drawn = draw(LOGITS.expand(10, 5), Decoding(), uniforms)
    assert drawn.token_R.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert drawn.logp_R.exp().tolist() == pytest.approx([0.5, 0.5, 0.2, 0.2, 0.15, 0.15, 0.1, 0.1, 0.05, 0.05])
    entropy = -sum(p * math.log(p) for p in (0.5, 0.2, 0.15, 0.1, 0.05))
    assert drawn.entropy_R.tolist() == pytest.approx([entropy] * 10)


def test_a_token_of_probability_zero_is_never_drawn() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    uniforms = torch.tensor([0.0, 0.5, 1 - 2**-53], dtype=torch.float64)
    drawn = draw(logits.expand(3, 5), Decoding(), uniforms)
    assert drawn.token_R.tolist() == [1, 3, 3]
    assert drawn.entropy_R.tolist() == pytest.approx([math.log(2)] * 3)


@pytest.mark.parametrize(
    "decoding", [Decoding(), Decoding(temperature=1.7), Decoding(top_p=0.8), Decoding(temperature=0.6, top_k=3)]
)
def test_many_seeds_follow_the_distribution(decoding: Decoding) -> None:
    """Chi-square over 20,000 independent streams: 99.9 % quantile for 4 degrees of freedom is 18.5."""
    num = 20_000
    uniform_R = torch.from_numpy(UniformStreams(range(num)).block(range(num))[:, 0])
    drawn = draw(LOGITS.expand(num, 5), decoding, uniform_R)
    p = log_distribution(LOGITS, decoding).exp()[0].double().numpy()
    counts = np.bincount(drawn.token_R.numpy(), minlength=5)
    assert counts[p == 0].sum() == 0
    expected = num * p[p > 0]
    assert ((counts[p > 0] - expected) ** 2 / expected).sum() < 18.5


def test_a_stream_depends_on_its_seed_and_place_only() -> None:
    alone, among = UniformStreams([7]), UniformStreams([3, 7, 2**200, -1])
    first, second = alone.block([0]), alone.block([0])
    assert first.shape == (1, BLOCK)
    assert np.array_equal(among.block([0, 1, 2, 3])[1], first[0])
    # Sample 0 has ended: the others' numbers stay theirs.
    assert np.array_equal(among.block([1])[0], second[0])
    assert not np.array_equal(first, second)
    assert first.min() >= 0
    assert first.max() < 1


def test_slices_of_a_large_batch_draw_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, uniforms = torch.randn(9, 5, generator=torch.Generator().manual_seed(0)), torch.rand(9, dtype=torch.float64)
    whole = draw(logits, Decoding(top_p=0.9), uniforms)
    monkeypatch.setattr("prerl_components.samplers.embedded.draw.MAX_ELEMENTS", 10)
    for a, b in zip(whole, draw(logits, Decoding(top_p=0.9), uniforms), strict=True):
        assert torch.equal(a, b)
