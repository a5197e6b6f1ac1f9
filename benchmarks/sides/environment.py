"""TRL's own virtual environment, made once from pinned versions and kept."""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

PINNED = (
    "trl==1.16.0", "torch==2.13.0", "transformers==5.23.0", "accelerate==1.15.0", "datasets==5.2.0", "numpy==2.4.6",
)  # fmt: skip
"""The tested set of this project, so that the libraries below both are the same."""


def trl_python(folder: Path) -> str:
    """The interpreter of TRL's environment in the folder, which is made if these versions are not there yet."""
    wanted = hashlib.sha256(" ".join((*PINNED, sys.version)).encode()).hexdigest()
    python, made = folder / "bin" / "python", folder / "made-from"
    if not made.is_file() or made.read_text() != wanted:
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PINNED], check=True)
        made.write_text(wanted)
    return str(python)
