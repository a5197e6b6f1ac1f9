"""Cards and machines by name, for `plan --on 8xH100-80`: a table of public cards, and those of a TOML file.

Peaks are those of data sheets in dense bfloat16 with float32 accumulation, without sparsity; no price, which is anybody's.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prerl_spec.compiler.hardware import Gpu, Hardware
from prerl_spec.errors import EnvironmentUnmet, UsageError

GIB = 1 << 30


@dataclass(frozen=True)
class Card:
    """A GPU: memory as its driver gives it to a process (GiB), peak in dense bfloat16 (TFLOP/s), bandwidth (GB/s); `names`
    are parts of what drivers call it, compared without case."""

    memory_gib: float
    bf16_tflops: float
    bandwidth_gb_s: float
    names: tuple[str, ...] = ()


CARDS: Mapping[str, Card] = {
    "B200-180": Card(178.4, 2250, 8000, ("b200",)),
    "H200-141": Card(139.8, 989, 4800, ("h200",)),
    "H100-80": Card(79.2, 989, 3350, ("h100 80gb hbm3", "h100 sxm", "h100")),
    "H100-PCIe-80": Card(79.2, 756, 2000, ("h100 pcie",)),
    "H100-NVL-94": Card(93.1, 835, 3900, ("h100 nvl",)),
    "A100-80": Card(79.2, 312, 2039, ("a100-sxm4-80gb", "a100-sxm-80gb", "a100 80gb")),
    "A100-40": Card(39.4, 312, 1555, ("a100-sxm4-40gb", "a100-pcie-40gb", "a100")),
    "L40S-48": Card(44.4, 362, 864, ("l40s",)),
    "A6000-48": Card(47.4, 155, 768, ("rtx a6000",)),
    "RTX6000-Ada-48": Card(47.4, 364, 960, ("rtx 6000 ada",)),
    "A10-24": Card(22.1, 125, 600, ("a10g", "a10")),
    "L4-24": Card(22.1, 121, 300, ("l4",)),
    "RTX5090-32": Card(31.4, 210, 1792, ("rtx 5090",)),
    "RTX4090-24": Card(23.5, 165, 1008, ("rtx 4090",)),
    "RTX3090-24": Card(23.5, 71, 936, ("rtx 3090",)),
    "V100-32": Card(31.7, 0, 900, ("v100",)),
    "T4-16": Card(14.6, 0, 320, ("t4",)),
    "MI300X-192": Card(191.0, 1307, 5300, ("mi300x",)),
}
"""Name for `--on` -> the card. The memory is the marketed one less what driver and error correction keep, where that is known
from a listing, else estimated. A peak of 0: no bfloat16 in hardware."""

_MACHINE = re.compile(r"(?:([1-9][0-9]{0,4})x)?([A-Za-z0-9][\w.-]*)")
_KEYS = {"gpus", "card", "memory_gib", "bf16_tflops", "bandwidth_gb_s", "cores", "host_memory_gib"}


def machine(name: str, file: Path | None = None) -> Hardware:
    """The hardware of `COUNTxCARD`, `CARD` (one of it), or a machine of the file; cores and host memory are unknown unless the
    file tells them.

    Raises UsageError for a name that is neither, and for a file that is no table of machines, EnvironmentUnmet for one that
    cannot be read.
    """
    own = {} if file is None else _machines(file)
    parts = _MACHINE.fullmatch(name)
    if name in own:
        return own[name]
    if parts is not None and parts[2] in own:
        one = own[parts[2]]
        return replace(one, gpus=one.gpus * int(parts[1] or 1))
    card = None if parts is None else _by_name(parts[2])
    if parts is None or card is None:
        known = ", ".join([*own, *CARDS])
        raise UsageError(
            f"--on {name}: no such card or machine",
            hint=f"COUNTxCARD, such as 8xH100-80, of {known}; others in a TOML file, --machines FILE",
        )
    return Hardware(0, None, (_gpu(card, CARDS[card]),) * int(parts[1] or 1), is_named=True)


def rates(gpu: Gpu) -> tuple[float, float] | None:
    """(peak FLOP/s in bfloat16, bytes per second) of a GPU: its own, else those of the card of that name; None if unknown."""
    if gpu.bf16_flops and gpu.bandwidth:
        return gpu.bf16_flops, gpu.bandwidth
    card = card_of(gpu.name)
    if card is None or not CARDS[card].bf16_tflops:
        return None
    return CARDS[card].bf16_tflops * 1e12, CARDS[card].bandwidth_gb_s * 1e9


def card_of(driver_name: str) -> str | None:
    """The card that a driver's name means: the one with the longest part in it."""
    folded = driver_name.lower()
    found = [(len(part), name) for name, card in CARDS.items() for part in card.names if _holds(folded, part)]
    if (exact := _by_name(driver_name)) is not None:
        return exact
    return max(found)[1] if found else None


def _holds(text: str, part: str) -> bool:
    """Whether the part stands in the text as words of its own: "l4" is in "nvidia l4", not in "nvidia l40s"."""
    return re.search(rf"(?<![a-z0-9]){re.escape(part)}(?![a-z0-9])", text) is not None


def _by_name(name: str) -> str | None:
    return next((card for card in CARDS if card.lower() == name.lower()), None)


def _gpu(name: str, card: Card) -> Gpu:
    return Gpu(name, round(card.memory_gib * GIB), card.bf16_tflops * 1e12 or None, card.bandwidth_gb_s * 1e9)


def _machines(file: Path) -> dict[str, Hardware]:
    """`[NAME]` with `gpus` (1), and `card` or the three numbers of one; `cores`, `host_memory_gib`."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise EnvironmentUnmet(
            f"--machines {file} cannot be read: {error.strerror}", hint="name a TOML file"
        ) from error
    except ValueError as error:
        raise UsageError(f"--machines {file} is not TOML: {error}", hint=_EXAMPLE) from error
    return {name: _machine(file, name, table) for name, table in tables.items()}


_EXAMPLE = '[mine] gpus = 2, memory_gib = 31.4, bf16_tflops = 210, bandwidth_gb_s = 1792; or card = "H100-80"'


def _machine(file: Path, name: str, table: Any) -> Hardware:
    def wrong(what: str) -> UsageError:
        return UsageError(f"--machines {file}: [{name}] {what}", hint=_EXAMPLE)

    if not isinstance(table, dict):
        raise wrong("is not a table")
    if unknown := sorted(set(table) - _KEYS):
        raise wrong(f"has `{unknown[0]}`; it takes {', '.join(sorted(_KEYS))}")
    for key, value in table.items():
        if key != "card" and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
            raise wrong(f"has {key} = {value!r}, which is no number above 0")
    if "card" in table:
        if (known := _by_name(str(table["card"]))) is None:
            raise wrong(f"has card = {table['card']!r}, which is none of {', '.join(CARDS)}")
        gpu = _gpu(known, CARDS[known])
    elif missing := [key for key in ("memory_gib", "bf16_tflops", "bandwidth_gb_s") if key not in table]:
        raise wrong(f"lacks `{missing[0]}`, or a `card`")
    else:
        gpu = _gpu(name, Card(table["memory_gib"], table["bf16_tflops"], table["bandwidth_gb_s"]))
    memory = table.get("host_memory_gib")
    return Hardware(
        int(table.get("cores", 0)),
        None if memory is None else round(memory * GIB),
        (gpu,) * int(table.get("gpus", 1)),
        is_named=True,
    )
