"""The context of a measurement (machine, versions, settings), and the output format of the scripts in this folder."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

PEAK_TFLOPS = {
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "A10": 125.0,
}
"""Peak TFLOP/s in dense bfloat16 with float32 accumulation, from data sheets; the first key contained in the GPU's name."""

Table = Sequence[Sequence[object]]


def machine(device: torch.device) -> dict[str, Any]:
    """Hardware and software versions."""
    packages = ("prerl-spec", "torch", "transformers", "accelerate")
    found: dict[str, Any] = {
        "versions": {name: _version(name) for name in packages} | {"cuda": torch.version.cuda},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": str(device),
        "threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        found |= {
            "card": card.name,
            "card_GiB": round(card.total_memory / 2**30, 1),
            "cards": torch.cuda.device_count(),
        }
    return found


def peak_flops(device: torch.device) -> float | None:
    """The GPU's peak FLOP/s; None for an unknown GPU, and for a CPU."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((1e12 * peak for part, peak in PEAK_TFLOPS.items() if part in name), None)


def show(facts: Mapping[str, Any], header: Sequence[str], rows: Table) -> None:
    """Prints a table, then one line of JSON with everything."""
    cells = [[*header], *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for first, *others in cells:
        padded = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *padded]))
    measured = [dict(zip(header, row, strict=True)) for row in rows]
    print(json.dumps({**facts, "measured": measured}))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "-" if value is None else str(value)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
