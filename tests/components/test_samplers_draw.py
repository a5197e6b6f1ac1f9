"""The draw follows the distribution it reports; truncation and uniforms do what their papers say."""

import math

import numpy as np
import pytest
import torch
from prerl_components.samplers.embedded.draw import (
    BLOCK,
    CHUNK,
    MAX_FLAT,
    UniformStreams,
    _first_above_by_chunks,
    draw,
    log_distribution,
)
from torch import Tensor

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
    monkeypatch.setattr("prerl_components.samplers.embedded.draw.CACHE_ELEMENTS", 10)
    for a, b in zip(whole, draw(logits, Decoding(top_p=0.9), uniforms), strict=True):
        assert torch.equal(a, b)


# --- chunks of a large vocabulary --------------------------------------------------------------------------------------

LARGE = 5 * CHUNK + 17 + MAX_FLAT


def token_by_token(logits_RV: Tensor, decoding: Decoding, uniform_R: Tensor) -> Tensor:
    """The first token whose cumulative probability, summed token by token, exceeds the uniform's share of the total."""
    cdf_RV = log_distribution(logits_RV, decoding).exp().double().cumsum(-1)
    return torch.searchsorted(cdf_RV, uniform_R[:, None] * cdf_RV[:, -1:], right=True)[:, 0]


def uniforms_at_the_edges(logits_RV: Tensor, decoding: Decoding) -> Tensor:
    """0, 1 - 2^-53, and a number just inside of a token's share, for each row another token."""
    p_RV = log_distribution(logits_RV, decoding).exp().double()
    cdf_RV = p_RV.cumsum(-1) / p_RV.sum(-1, keepdim=True)
    uniform_R = cdf_RV[torch.arange(len(p_RV)), torch.arange(len(p_RV)) * 7 % p_RV.shape[1]] + 1e-11
    uniform_R[0], uniform_R[1] = 0.0, 1 - 2**-53
    return uniform_R.clamp_max(1 - 2**-53)


@pytest.mark.parametrize(
    "decoding",
    [Decoding(), Decoding(temperature=1.7, top_k=40), Decoding(top_k=300, top_p=0.3)],
    ids=["all", "top_k", "top_k and top_p"],
)
@pytest.mark.parametrize("kind", ["peaked", "flat", "tied", "gaps"])
def test_chunks_draw_the_same_tokens_as_one_cumulative_sum(kind: str, decoding: Decoding) -> None:
    generator = torch.Generator().manual_seed(1)
    logits_RV = torch.randn(150, LARGE, generator=generator) * {"peaked": 9, "flat": 0.01, "tied": 2, "gaps": 3}[kind]
    if kind == "tied":
        logits_RV = logits_RV.round()
    if kind == "gaps":
        # Whole chunks without probability, at both ends too, and chunks with a single token.
        logits_RV[:, :CHUNK] = logits_RV[:, 3 * CHUNK : 4 * CHUNK - 1] = logits_RV[:, -CHUNK:] = -torch.inf
        logits_RV[::2, CHUNK : 2 * CHUNK] = -torch.inf
    for uniform_R in (
        torch.rand(150, dtype=torch.float64, generator=generator),
        uniforms_at_the_edges(logits_RV, decoding),
    ):
        drawn = draw(logits_RV, decoding, uniform_R)
        assert torch.equal(drawn.token_R, token_by_token(logits_RV, decoding, uniform_R))
        logp_RV = log_distribution(logits_RV, decoding)
        assert torch.equal(drawn.logp_R, logp_RV.gather(1, drawn.token_R[:, None])[:, 0])
        assert drawn.logp_R.isfinite().all()
        plain = -(logp_RV.double().exp() * logp_RV.double().clamp_min(-1e30)).sum(-1)
        assert drawn.entropy_R.tolist() == pytest.approx(plain.tolist(), rel=2e-6, abs=1e-6)


def test_a_target_between_two_roundings_of_a_chunks_end_draws_no_token_of_probability_zero() -> None:
    """1 and 255 times 2^-53 sum to 1 token by token (each is rounded away), and to more in the order of the chunk's sum."""
    p_RCW = torch.zeros(1, 2, CHUNK)
    p_RCW[0, 0] = 2.0**-53
    p_RCW[0, 0, 0] = p_RCW[0, 1, 1] = 1
    total = p_RCW[0, 0].sum(dtype=torch.float64) + 1
    uniform_R1 = ((1 + 2**-48) / total)[None, None]
    assert p_RCW[0, 0].double().cumsum(-1)[-1] <= uniform_R1 * total < p_RCW[0, 0].sum(dtype=torch.float64)
    assert _first_above_by_chunks(p_RCW, uniform_R1).item() == 0


def test_rows_of_nan_in_a_large_vocabulary_are_told_by_their_log_probability() -> None:
    logits_RV = torch.randn(3, LARGE, generator=torch.Generator().manual_seed(3))
    logits_RV[1, 7] = torch.nan
    drawn = draw(logits_RV, Decoding(), torch.tensor([0.2, 0.5, 1 - 2**-53], dtype=torch.float64))
    assert drawn.logp_R.isnan().tolist() == [False, True, False]
    assert ((drawn.token_R >= 0) & (drawn.token_R < LARGE)).all()


def test_a_row_that_is_alone_in_its_slice_has_the_entropy_that_it_has_beside_others() -> None:
    """Several threads share out one long sum, but not each of several."""
    logits = torch.randn(3, 151_936, generator=torch.Generator().manual_seed(0))
    uniform = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for decoding, given in ((Decoding(), uniform), (Decoding(temperature=0.0), None)):
            together = draw(logits, decoding, given)
            for row in range(3):
                alone = draw(logits[row : row + 1], decoding, None if given is None else given[row : row + 1])
                assert torch.equal(alone.entropy_R, together.entropy_R[row : row + 1])
                assert torch.equal(alone.logp_R, together.logp_R[row : row + 1])
    finally:
        torch.set_num_threads(threads)


def test_logits_are_left_as_they_were() -> None:
    logits_RV = torch.randn(3, LARGE, generator=torch.Generator().manual_seed(4))
    before = logits_RV.clone()
    draw(logits_RV, Decoding(), torch.rand(3, dtype=torch.float64))
    draw(logits_RV, Decoding(temperature=0), None)
    assert torch.equal(logits_RV, before)
