"""A copy of the code in which one fault at a time is planted, and the tests run there.

`python -m tests.mutants.planting [NAME…]` plants them one by one and prints who noticed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import FOUND
from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).parents[2]
COPIED = ("prerl_spec", "components", "docs", "examples", "tests", "specs", "pyproject.toml")


@dataclass
class Tree:
    """The copy; `passed` remembers which tests pass in it when nothing is planted."""

    folder: Path
    passed: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def copied_to(cls, folder: Path) -> "Tree":
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy2(ROOT / name, folder / name)
        return cls(folder)

    def passes_unchanged(self, tests: str) -> bool:
        """Whether these tests (a file, or one test of it) pass without a fault."""
        if tests not in self.passed:
            self.passed[tests] = self.first_failure(tests) is None
        return self.passed[tests]

    def seen_by(self, mutant: Mutant) -> dict[str, str | None]:
        """For each of the tests that must see the fault: which one fails with it planted, None where all pass."""
        file = self.folder / mutant.file
        original = file.read_text(encoding="utf-8")
        file.write_text(original.replace(mutant.old, mutant.new), encoding="utf-8")
        try:
            return {tests: self.first_failure(tests) for tests in mutant.seen_by}
        finally:
            file.write_text(original, encoding="utf-8")

    def first_failure(self, tests: str) -> str | None:
        """The first of these tests that fails here, None where all pass. Raises AssertionError where pytest could not run
        them: that is no finding."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=no", tests]
        path = os.pathsep.join([str(self.folder), str(self.folder / "components")])
        # Without bytecode: a planted line may have the length and the second of the one that it replaces.
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "planted"}
        # A run of its own: pickles that a planted fault loads are not those of the tests that plant it.
        environment.pop(FOUND, None)
        ran = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        if ran.returncode == 0:
            return None
        failed = [line for line in ran.stdout.splitlines() if line.startswith("FAILED ")]
        assert ran.returncode == 1, f"pytest did not run:\n{ran.stdout}{ran.stderr}"
        assert failed, f"pytest did not run:\n{ran.stdout}{ran.stderr}"
        return failed[0].removeprefix("FAILED ").partition(" - ")[0]


def main(names: list[str]) -> int:
    """Plants the faults of these names, or all; returns how often one was not seen."""
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree.copied_to(Path(folder))
        for mutant in MUTANTS:
            if names and mutant.name not in names:
                continue
            for tests in mutant.seen_by:
                assert tree.passes_unchanged(tests), f"{tests} fails without a fault"
            for tests, failed in tree.seen_by(mutant).items():
                survivors += failed is None
                print(f"{mutant.name:5} {failed or f'SURVIVES {tests}: {mutant.breaks}'}", flush=True)
    return survivors


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
