"""What a Python file beside a spec is executed as: its content, whatever bytecode the interpreter would keep of it."""

import os
from pathlib import Path

import pytest

from prerl_spec.registry.entry_points import load
from prerl_spec.registry.local import local_entries

TEXT = "from prerl_spec.sdk import Ramp\n\n\nclass Mine(Ramp):\n    'A ramp.'\n\n    def at(self, step):\n        return {}\n"


def test_an_edit_of_the_same_length_and_second_is_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    file = tmp_path / "mine.py"
    found = []
    for value in ("0.25", "0.75"):
        file.write_text(TEXT.format(value))
        os.utime(file, (10**9, 10**9))
        (entry,) = local_entries(file)
        found.append(load(entry)().at(0))
    assert found == [0.25, 0.75]
    assert os.listdir(tmp_path) == ["mine.py"]
