"""What `doctor --deep` finds by trying: heavy imports, each in a process of its own, and a product on every GPU."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata

from prerl_spec.cli.machine_findings import Finding
from prerl_spec.cli.package_findings import ENGINES

SECONDS = 300.0
"""The first import of a large package on a cold file system."""

_IMPORT = "import sys, {name}; sys.stdout.write('\\n' + str(getattr({name}, '__version__', 'imported')))"
_GPUS = """
import sys, torch
for index in range(torch.cuda.device_count()):
    free, total = torch.cuda.mem_get_info(index)
    ones = torch.ones(64, 64, device=f"cuda:{index}")
    right = bool((ones @ ones == 64).all())
    name = torch.cuda.get_device_name(index)
    print(index, right, f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free", sep="\\t")
"""


def deep_findings() -> Iterator[Finding]:
    """Of torch, transformers, the optional packages that are installed, and the GPUs that torch sees."""
    yield _imported("torch")
    yield _imported("transformers")
    for name, distributions in (("peft", ("peft",)), ("vllm", ENGINES)):
        if any(map(_is_installed, distributions)):
            yield _imported(name, optional=True)
    for line in _output(_GPUS)[1].splitlines():
        index, right, words = line.split("\t")
        mend = None if right == "True" else "check the driver and the build of torch"
        yield Finding(f"cuda:{index}", f"{words}, a product is {'right' if mend is None else 'wrong'}", mend)


def _imported(name: str, *, optional: bool = False) -> Finding:
    worked, said = _output(_IMPORT.format(name=name))
    last = said.strip().splitlines()[-1:] or ["no words"]
    if worked:
        return Finding(f"import {name}", last[0])
    return Finding(f"import {name}", f"fails: {last[0][:200]}", f"pip install --force-reinstall {name}", optional)


def _output(code: str) -> tuple[bool, str]:
    """Whether a Python process ran the code, and what it wrote: on stdout, or on stderr where it failed."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"no end after {SECONDS:.0f} s"
    return done.returncode == 0, done.stdout if done.returncode == 0 else done.stderr


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
