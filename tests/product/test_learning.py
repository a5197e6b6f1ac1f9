"""Every family of objectives learns from the quickstart's pre-trained model; every family has one that is tried."""

from pathlib import Path

import pytest

from tests.product.learning import FAMILIES, change, changes, families, pretrained


def test_every_family_of_presets_is_tried() -> None:
    found = families()
    assert found.keys() == FAMILIES.keys()
    assert all(use in found[family] for family, use in FAMILIES.items())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("learning")


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return pretrained(folder)


@pytest.mark.slow
@pytest.mark.parametrize("use", FAMILIES.values(), ids=FAMILIES)
def test_an_objective_of_each_family_raises_the_reward(folder: Path, model: Path, use: str) -> None:
    """Over three paired seeds the 95 % interval of the change of the held-out reward lies above 0."""
    found, interval = changes(folder, model, use, range(3))
    assert interval.low > 0, (use, found, interval)


@pytest.mark.slow
def test_without_an_objective_nothing_is_learnt(folder: Path, model: Path) -> None:
    before, after = change(folder / "nothing", model, "nothing", 0)
    assert after == before, "the seeds of both evaluations are the same"
