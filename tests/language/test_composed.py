"""Specs of several files and places: exactly the marked mistakes, their labels and their suggestions; none in good ones."""

from pathlib import Path

import pytest

from tests.language import composed, good
from tests.language.marked import Marked, check


@pytest.mark.parametrize(("sentence", "case"), composed.CASES)
def test_each_mistake_is_told_once_at_its_place(sentence: str, case: Marked, tmp_path: Path) -> None:
    check(case, tmp_path)


@pytest.mark.parametrize(("sentence", "case"), good.CASES)
def test_a_good_spec_gets_no_complaint(sentence: str, case: Marked, tmp_path: Path) -> None:
    check(case, tmp_path)
