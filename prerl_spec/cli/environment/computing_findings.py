"""Findings about how forwards and updates are computed here: what a run measures when it opens is in its manifest."""

from collections.abc import Iterator

from prerl_spec.cli.environment.machine_findings import Finding
from prerl_spec.compiler.estimates.prerequisites import INSTALL_TRAIN, has_train, torch_can_use_gpus
from prerl_spec.compiler.hardware import Hardware

MEASURED = "measured when a model opens, and written into the run's manifest"


def computing_findings(hardware: Hardware) -> Iterator[Finding]:
    """The attention of a flat row, and where to find what a run has measured. Without torch."""
    if not has_train():
        yield Finding("flat rows", f"unknown: {INSTALL_TRAIN}")
        return
    kernels = bool(hardware.gpus) and torch_can_use_gpus()
    attention = "one kernel (varlen_attn) in 16 bits, else sequence by sequence" if kernels else "sequence by sequence"
    why = "" if kernels else ": no GPU that torch can use"
    yield Finding("flat rows", f"attention {attention}{why}; whether a model fits into them is {MEASURED}")
    yield Finding("decoding", f"sampler transformers: by a step of its own or by the model's own forward, {MEASURED}")
