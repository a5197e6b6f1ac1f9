"""Memory of a GPU on which the trainer and an engine of its sampler take turns: what each of the two times takes.

While the engine samples there are no gradients, no 16-bit copies and no activations; while the trainer trains the engine
sleeps, and its weights and cache are off the device. Not included: what an engine keeps asleep (its graphs and libraries).
"""

from collections.abc import Mapping

from prerl_spec.compiler.plan import EngineMemory

HELD_BYTES_PER_PARAMETER = 12
"""float32 weight and two moments: gradients are freed after every update."""

RENAMED = {
    "weights, gradients, moments": "weights, moments",
    "adapter, gradients, moments": "adapter, moments",
}
FREED = ("16-bit weights", "gradients of probes")


def engine_memory(
    held: Mapping[str, int],
    training_peak: Mapping[str, int],
    *,
    trained_parameters: int,
    engine: int,
    weights: int,
    token: int,
) -> EngineMemory:
    """`held`: bytes of the trainer outside of a pass, gradients included; `trained_parameters` of this process; `engine`:
    bytes of the engine, its own `weights` among them; `token`: bytes of its cache for each."""
    sampling = {
        RENAMED.get(name, name): HELD_BYTES_PER_PARAMETER * trained_parameters if name in RENAMED else number
        for name, number in held.items()
        if name not in FREED
    }
    return EngineMemory(
        sampling={**sampling, "the sampler's engine": engine},
        training={**held, **training_peak},
        weights=weights,
        cached_tokens=max(0, engine - weights) // token,
    )
