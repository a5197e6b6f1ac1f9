"""What tells that code on disk is no longer what a process has imported: every file of a package, bytecode apart."""

import os
from pathlib import Path

import pytest

from prerl_spec.process.code_on_disk import code_on_disk


def test_a_changed_new_or_missing_file_is_other_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "code_of_a_test"
    (package / "room" / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    module = package / "room" / "module.py"
    module.write_text("a = 1")
    os.utime(module, ns=(0, 10**9))
    seen = [code_on_disk((package.name,))]

    def differs() -> bool:
        seen.append(code_on_disk((package.name,)))
        return seen[-1] != seen[-2]

    assert not differs()
    (package / "room" / "__pycache__" / "module.pyc").write_text("bytecode that an import has written")
    assert not differs()
    module.write_text("a = 2")
    os.utime(module, ns=(0, 10**9 + 1))
    assert differs(), "another time"
    module.write_text("a = 20")
    os.utime(module, ns=(0, 10**9 + 1))
    assert differs(), "another size"
    (package / "room" / "table.json").write_text("{}")
    assert differs(), "a new file"
    (package / "room" / "table.json").unlink()
    assert differs(), "a file less"
    assert seen[-1] == seen[-3]


def test_it_reaches_both_packages_and_one_that_is_not_there_has_no_code() -> None:
    both = {Path(file).name for file, _, _ in code_on_disk(("prerl_spec", "prerl_components"))}
    assert {"code_on_disk.py", "policy_gradient.py"} <= both
    assert code_on_disk(("no_such_package",)) == frozenset()
