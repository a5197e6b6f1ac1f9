"""Findings of `doctor --deep`: heavy imports, each in a separate process, and a matrix product on every GPU."""

import subprocess
import sys
from collections.abc import Iterator

from prerl_spec.cli.environment.machine_findings import Finding
from prerl_spec.cli.environment.package_findings import ENGINES
from prerl_spec.compiler.estimates.prerequisites import is_installed

SECONDS = 300.0
"""Enough for the first import of a large package on a cold file system."""

TRIED = (
    ("torch", ("torch",), False),
    ("transformers", ("transformers",), False),
    ("peft", ("peft",), True),
    ("vllm", ENGINES, True),
)
"""Module, the distributions that provide it, and whether it is optional."""

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
_COMPUTING = """
import torch
try:
    from torch.nn.attention.varlen import varlen_attn
    print("varlen_attn", "can be imported", True, sep="\\t")
except ImportError as error:
    print("varlen_attn", error, False, sep="\\t")
for device in ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))):
    weight = torch.ones(8, device=device, requires_grad=True)
    weight.grad = torch.ones_like(weight)
    try:
        torch.optim.AdamW([weight], lr=0.5, weight_decay=0.0, fused=True).step()
        right = bool((weight - 0.5).abs().max() < 1e-3)
        print(f"fused AdamW on {device}", "its update is " + ("right" if right else "wrong"), right, sep="\\t")
    except RuntimeError as error:
        print(f"fused AdamW on {device}", str(error).splitlines()[0], False, sep="\\t")
"""


def deep_findings() -> Iterator[Finding]:
    """Tries importing torch, transformers and the optional packages, where installed, each GPU that torch sees, the kernel of
    flat rows and the fused update."""
    for name, distributions, optional in TRIED:
        if any(map(is_installed, distributions)):
            yield _imported(name, optional=optional)
    for line in _output(_GPUS)[1].splitlines() if is_installed("torch") else ():
        index, right, words = line.split("\t")
        hint = None if right == "True" else "check the GPU driver and the build of torch"
        yield Finding(f"cuda:{index}", f"{words}, matrix product is {'right' if hint is None else 'wrong'}", hint)
    for line in _output(_COMPUTING)[1].splitlines() if is_installed("torch") else ():
        what, words, right = line.split("\t")
        yield Finding(what, words, None if right == "True" else "pip install 'prerl-spec[train]'")


def _imported(name: str, *, optional: bool = False) -> Finding:
    succeeded, output = _output(_IMPORT.format(name=name))
    last = output.strip().splitlines()[-1:] or ["no output"]
    if succeeded:
        return Finding(f"import {name}", last[0])
    return Finding(f"import {name}", f"fails: {last[0][:200]}", f"pip install --force-reinstall {name}", optional)


def _output(code: str) -> tuple[bool, str]:
    """Runs code in a Python process; returns whether it succeeded, and its stdout (its stderr on failure)."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"timed out after {SECONDS:.0f} s"
    return done.returncode == 0, done.stdout if done.returncode == 0 else done.stderr
