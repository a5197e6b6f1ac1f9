"""Loss, gradient and advantages agree with those that TRL's and verl's own code computed on the same stored batches."""

import runpy
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from tests.components.agreement.cases import CASES
from tests.components.agreement.comparison import TOLERANCE, differences, peers, records
from tests.components.agreement.ours import Ours

ROOT = Path(__file__).parent.parent.parent.parent
COMPARED = {case: ours for case, ours in CASES.items() if isinstance(ours, Ours)}


@pytest.mark.parametrize("case", COMPARED)
def test_the_same_settings_give_the_peers_numbers_but_where_the_table_says_otherwise(case: str) -> None:
    same, other = differences(case, COMPARED[case])
    assert same is None or same.agrees, same
    assert other is None or not other.agrees, "said to differ, and does not"


def test_every_case_of_the_peers_has_a_counterpart_or_a_reason() -> None:
    assert set(CASES) == set(records())


def test_no_two_cases_have_the_same_loss_and_gradient_on_every_batch() -> None:
    """So each setting acts on the stored batches, and a case that agrees would not agree with another one's settings."""
    vectors = {
        case: np.concatenate([[of["loss"], *of["gradient_N"]] for of in found if of["batch"] != "first"])
        for case, found in records().items()
        if "loss" in found[0]
    }
    for one, other in combinations(vectors, 2):
        assert np.abs(vectors[one] - vectors[other]).max() > 10 * TOLERANCE, f"{one} and {other}"


def test_the_page_is_the_one_that_is_written_from_these_numbers() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "write_agreement.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"](), "run `python docs/write_agreement.py`"


def test_the_numbers_are_those_of_the_versions_that_the_table_names() -> None:
    versions = {name: peer["version"] for name, peer in peers()["peers"].items()}
    assert (versions["trl"], versions["verl"]) == ("1.16.0", "0.9.1")
    assert all(len(digest) == 64 for name in ("trl", "verl") for digest in peers()["peers"][name]["sha256"].values())
