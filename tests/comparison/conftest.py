"""A study's folder for the tests of this room, made once."""

from pathlib import Path

import pytest

from prerl_spec.comparison.compare import compare
from prerl_spec.comparison.findings import Comparison
from tests.comparison.runs import Made, write_study
from tests.once import made_once

ARMS = {
    "grpo": Made(arm=1.0, every=5),
    "dsrl": Made(arm=2.0, every=5, level=lambda step: 0.2 + 0.035 * step),
    "null": Made(arm=3.0, every=10, applied=0, level=lambda step: 0.2),
}


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three arms with three seeds; the second learns faster, the third not at all. Not to be changed."""
    return (
        made_once(tmp_path_factory, "compared-study", lambda folder: write_study(folder / "study", ARMS, (0, 1, 2)))
        / "study"
    )


@pytest.fixture(scope="session")
def found(study: Path) -> Comparison:
    """What the study's folder says."""
    return compare([study])
