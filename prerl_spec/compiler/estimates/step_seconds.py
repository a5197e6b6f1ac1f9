"""Seconds of a step: matrix products at a share of the hardware's peak, reading of weights and cache, and launches.

Shares and launches of a CPU are measured, those of a GPU are assumed: none of ours has been timed.
"""

from dataclasses import dataclass

from prerl_spec.compiler.estimates.cards import rates
from prerl_spec.compiler.hardware import Hardware

CPU_CORE_TRAIN_FLOPS = 40e9
CPU_CORE_SAMPLE_FLOPS = 25e9
"""Measured on models of 0.3 and 0.9 M parameters, one thread of an AMD EPYC, with the launches below: docs/planning.md."""
GPU_TRAIN_FLOPS = 200e12
GPU_SAMPLE_FLOPS = 20e12
"""Not measured; assumed for a GPU that is not in the table of cards: 20 % of a peak near 1000 TFLOP/s in training, 2 % in
sampling."""
TRAIN_SHARE = 0.2
SAMPLE_SHARE = 0.2
BANDWIDTH_SHARE = 0.5
"""Not measured: shares of a card's peaks that training, decoding of many rows and decoding of few reach."""


@dataclass(frozen=True)
class Launches:
    """Seconds that do not depend on the size of anything: of each step, of a pass and of a decoding step by layer."""

    step: float
    layer_of_pass: float
    layer_of_token: float


CPU_LAUNCHES = Launches(step=0.02, layer_of_pass=0.002, layer_of_token=0.00015)
GPU_LAUNCHES = Launches(step=0.1, layer_of_pass=0.001, layer_of_token=0.0003)
ENGINE_LAUNCHES = Launches(step=0.1, layer_of_pass=0.001, layer_of_token=0.00002)
"""An engine with weights of its own replays recorded launches."""


@dataclass(frozen=True)
class Decoding:
    """Sampling as the formulas see it: `rows` responses of `new_tokens` tokens each, `tokens` in all, prompts included, in
    `batches` one after another; `weights` bytes of the model, `cached` bytes of a sequence's cache."""

    tokens: int
    rows: int
    new_tokens: int
    batches: int
    weights: int
    cached: int


def training_seconds(flop: float, passes: int, layers: int, hardware: Hardware, processes: int) -> float:
    """Seconds of a step without its sampling: `flop` and `passes` of all processes, which share them."""
    launches = _launches(hardware, engine=False)
    whole = flop / _train_rate(hardware) + passes * layers * launches.layer_of_pass
    return whole / _devices(hardware, processes) + launches.step


def decoding_seconds(
    work: Decoding, parameters: int, layers: int, hardware: Hardware, processes: int, *, engine: bool
) -> float:
    """Seconds of sampling. On a card of the table a token step takes as long as the slower of its products and its reading of
    weights and cache; elsewhere products at a rate that was measured."""
    devices = _devices(hardware, processes)
    launches = work.batches * work.new_tokens * layers * _launches(hardware, engine=engine).layer_of_token
    known = rates(hardware.gpus[0]) if hardware.gpus else None
    products = 2 * parameters * work.tokens
    if known is None:
        return products / (_sample_rate(hardware) * devices) + launches
    peak, bandwidth = known
    rows = -(-work.rows // devices)
    read = work.new_tokens * (work.batches * work.weights + rows * work.cached / 2)
    return max(products / (SAMPLE_SHARE * peak * devices), read / (BANDWIDTH_SHARE * bandwidth)) + launches


def basis(hardware: Hardware, processes: int) -> str:
    """The hardware that the seconds are of: "2 x H100-80", "1 CPU core"."""
    devices = _devices(hardware, processes)
    if hardware.gpus:
        return f"{devices} x {hardware.gpus[0].name}"
    return f"{devices} CPU core{'s' if devices > 1 else ''}"


def _devices(hardware: Hardware, processes: int) -> int:
    return max(1, min(processes, len(hardware.gpus) if hardware.gpus else hardware.cores))


def _launches(hardware: Hardware, *, engine: bool) -> Launches:
    if not hardware.gpus:
        return CPU_LAUNCHES
    return ENGINE_LAUNCHES if engine else GPU_LAUNCHES


def _train_rate(hardware: Hardware) -> float:
    """FLOP/s of one device."""
    if not hardware.gpus:
        return CPU_CORE_TRAIN_FLOPS
    known = rates(hardware.gpus[0])
    return GPU_TRAIN_FLOPS if known is None else TRAIN_SHARE * known[0]


def _sample_rate(hardware: Hardware) -> float:
    return GPU_SAMPLE_FLOPS if hardware.gpus else CPU_CORE_SAMPLE_FLOPS
