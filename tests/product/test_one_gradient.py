"""Any split into passes, any packing, any number of ranks: one gradient, for every objective in the registry."""

from functools import cache
from pathlib import Path

import pytest
import torch

from prerl_spec.engine.processes.ranks import Ranks
from tests.engine.forked_ranks import forked_ranks
from tests.product.built_ins import built_ins
from tests.product.walk import Scene, Walked, first_gradients, walk

ROUNDING = 1e-5
"""Sums of fp32 in another order, relative to the largest entry."""


@cache
def alone() -> dict[str, Walked]:
    return walk(Scene.made(), Ranks.start(), tokens_per_pass=256)


@cache
def alone_first() -> dict[str, torch.Tensor]:
    return first_gradients(Scene.made(), Ranks.start(), tokens_per_pass=256)


def check_equal(found: dict[str, Walked]) -> None:
    assert found.keys() == alone().keys() >= built_ins("objective").keys()
    for name, (gradients, measures) in found.items():
        own = alone()[name]
        assert len(gradients) == len(own.gradients), name
        for gradient, expected in zip(gradients, own.gradients, strict=True):
            assert expected.abs().max() > 0 or " × " in name, name
            assert (gradient - expected).abs().max() <= ROUNDING * expected.abs().max(), name
        assert measures == pytest.approx(own.measures, rel=1e-4, abs=1e-6), name


def check_first(found: dict[str, torch.Tensor]) -> None:
    assert found.keys() == alone_first().keys()
    for name, gradient in found.items():
        expected = alone_first()[name]
        assert (gradient - expected).abs().max() <= ROUNDING * expected.abs().max(), name


def test_passes_of_any_size_give_one_gradient() -> None:
    check_equal(walk(Scene.made(), Ranks.start(), tokens_per_pass=20))


def test_a_row_for_each_sample_gives_the_gradient_of_one_flat_row() -> None:
    scene = Scene.made()
    assert scene.policy.arrangement == "flat"
    scene.policy.arrangement = "padded"
    check_equal(walk(scene, Ranks.start(), tokens_per_pass=60))


def check_ranks(folder: Path, processes: int, *more: str) -> None:
    forked_ranks("tests.product.walk", str(folder / "walked.pt"), *more, cwd=folder, processes=processes)
    found = torch.load(folder / "walked.pt", weights_only=True)
    assert found["size"] == processes
    check_equal({name: Walked(*both) for name, both in found["walked"].items()})
    if more:
        check_first(found["sharded"])


def test_two_ranks_give_the_gradient_of_one(tmp_path: Path) -> None:
    check_ranks(tmp_path, 2)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_ranks_give_the_gradient_of_one_replicated_and_sharded(processes: int, tmp_path: Path) -> None:
    check_ranks(tmp_path, processes, "sharded")
