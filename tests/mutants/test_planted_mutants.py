"""Every fault of the table is noticed by the tests that it names, and the table keeps up with the code."""

from pathlib import Path

import pytest

from tests.mutants.mutant import Mutant
from tests.mutants.planting import ROOT, Tree
from tests.mutants.table import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_mutants_text_stands_in_its_file_exactly_once(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1, f"carry the row {mutant.name} along in tests/mutants: {mutant.old!r}"
    assert mutant.old != mutant.new
    for test in mutant.seen_by:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}" in (ROOT / file).read_text(encoding="utf-8"), test


def test_every_mutant_has_a_name_of_its_own() -> None:
    names = [m.name for m in MUTANTS]
    assert len(set(names)) == len(names)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree.copied_to(Path(tmp_path_factory.mktemp("planted")))


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_planted_fault_is_seen_by_the_tests_that_it_names(tree: Tree, mutant: Mutant) -> None:
    for tests in mutant.seen_by:
        assert tree.passes_unchanged(tests), f"{tests} fails without a fault"
    unseen = [tests for tests, failed in tree.seen_by(mutant).items() if failed is None]
    assert unseen == [], mutant.breaks
