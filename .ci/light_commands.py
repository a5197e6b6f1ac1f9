"""What the light install promises, called in it beside copies of the shipped specs: exit codes, and the words of `run`."""

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path

from prerl_spec.cli.main import main

COMMAND = Path(sys.executable).with_name("prerl-spec")
SPECS = sorted(str(file) for file in Path().glob("*.toml"))
ENDS: list[tuple[int, list[str]]] = [
    (0, ["validate", *SPECS]),
    *((0, [name, spec]) for spec in SPECS for name in ("plan", "lock")),
    *((0, ["lock", "--check", spec]) for spec in SPECS),
    (1, ["diff", "quickstart.toml", "smoke.toml"]),
    (0, ["schema"]),
    (0, ["explain", "E0301"]),
    (0, ["components", "list"]),
    (0, ["components", "show", "grpo"]),
    (3, ["plan", "--here", "smoke.toml"]),
    (2, ["fork", "nowhere@pretrain"]),
    (3, ["doctor"]),
]
"""Exit code and command; each in this process, which spares the imports of twenty."""


def called(words: list[str]) -> tuple[int, str]:
    """The exit code of a command, and all that it said."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main(words)
    return code, said.getvalue()


assert SPECS, "no specs beside this call"
assert find_spec("torch") is None, "torch is installed: this is no light environment"
for wanted, words in ENDS:
    code, said = called(words)
    assert code == wanted, f"prerl-spec {' '.join(words)} ended with {code}, wanted {wanted}:\n{said}"
done = subprocess.run([COMMAND, "run", "smoke.toml"], capture_output=True, text=True, check=False)
assert done.returncode == 3, done.stderr
assert "pip install 'prerl-spec[train]'" in done.stderr
assert "Traceback" not in done.stderr
