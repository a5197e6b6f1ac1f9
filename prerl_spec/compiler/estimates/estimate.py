"""Estimates memory and time of a run from the model's configuration and the batch arithmetic, by simple formulas.

Memory is the peak of a training process: libraries, weights with gradients and moments, and the larger of a pass and the
sampler's cache, which are never held at once. Not included: verifier processes. `benchmarks/memory.py` compares the formula
with real runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prerl_spec.compiler.estimates.engine_memory import engine_memory
from prerl_spec.compiler.estimates.step_seconds import Decoding, basis, decoding_seconds, training_seconds
from prerl_spec.compiler.estimates.unknown import NotKnown
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.plan import Cost, EngineMemory

TRAIN_BYTES_PER_PARAMETER = 16
"""float32 weight, gradient and two moments."""
TRAIN_FLOPS_PER_PARAMETER = 6
"""Per token: 2 forward, 2 for the gradient of the layer's input, 2 for that of its weight."""
FROZEN_FLOPS_PER_PARAMETER = 4
"""Per token, without the gradient of the weight."""
CPU_ALLOCATION_FACTOR = 1.8
"""Growth of a process during a pass, relative to the bytes its graph keeps: gradients of activations, temporaries, and
fragmentation of the C library's allocator. Measured 1.4 to 2.1 at 256 to 2048 tokens per pass, 0.3 to 50 M parameters."""
CPU_RECOMPUTING_FACTOR = 4.8
"""The same with activation checkpointing: measured 4.7 and 4.9 at 1024 and 4096 tokens per pass of 12 layers; 1.0 with an
allocator that returns every freed block to the system."""
GPU_ALLOCATION_FACTOR = 1.25
"""Not measured: torch's caching allocator fragments less."""
CPU_LIBRARIES = 440 << 20
"""Resident memory of torch and transformers, imported (387 MiB) and in use."""
GPU_LIBRARIES = 500 << 20
"""Not measured: the CUDA context and its kernels."""
LOGIT_COPIES = 3
"""Logits, their exponentials and their gradient, in float32; of one block at most."""
LOGIT_BLOCK = 1 << 19
LOGIT_COLUMNS = 256
LOGIT_SHARE = 1 << 10
"""Logits of a block, its least width, and bytes of a GPU for each of its logits: see engine/policy/head/blocks.py."""
HOST_MEMORY = 32 << 30
"""Host memory that a sampler assumes at most."""


@dataclass(frozen=True)
class Shape:
    """The dimensions of a decoder-only transformer that the cost formulas use."""

    num_parameters: int
    num_layers: int
    hidden: int
    attention_width: int
    """Query heads x head size."""
    kv_width: int
    """Key-value heads x head size."""
    inner: int
    """Width of the MLP."""
    vocabulary: int
    linear: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Linear layers of one decoder layer: name suffix -> (in_features, out_features)."""

    @property
    def of_a_layer(self) -> int:
        """Parameters of a decoder layer."""
        return sum(rows * columns for rows, columns in self.linear.values()) + 2 * self.hidden

    @property
    def outside_layers(self) -> int:
        """Parameters of embeddings, LM head and final norm."""
        return self.num_parameters - self.num_layers * self.of_a_layer

    def kept_bytes(self, *, half: bool, recomputed: bool = False) -> int:
        """Bytes per token that a forward keeps for its backward, with fused attention and norms of queries and keys.

        A layer keeps 6h + 7a + 2k + 4m numbers of 4 bytes (h hidden, a attention_width, k kv_width, m inner). Under
        autocast 4h + a + k stay float32 (residuals, norms), and 5h + 6a + k + 4m have 2 bytes: every matrix product
        casts its own copy of its input.
        """
        h, a, k, m = self.hidden, self.attention_width, self.kv_width, self.inner
        numbers = 6 * h + 7 * a + 2 * k + 4 * m
        bytes_per_layer = 4 * (4 * h + a + k) + 2 * (5 * h + 6 * a + k + 4 * m) if half else 4 * numbers
        if recomputed:
            return self.num_layers * 4 * h + bytes_per_layer
        return self.num_layers * bytes_per_layer


def shape_of(config: Mapping[str, Any]) -> Shape:
    """P = V·d·(1 or 2) + L·(attention + MLP + norms), for dense decoders with gated (Llama, Qwen) or plain (GPT) MLPs.

    Raises NotKnown for mixtures of experts and for configurations without the usual names.
    """
    if any("expert" in key for key in config):
        raise NotKnown("a mixture of experts: no simple formula")

    def size(*names: str, default: int | None = None) -> int:
        for name in names:
            if isinstance(config.get(name), int):
                return int(config[name])
        if default is None:
            raise NotKnown(f"the model's configuration has no {names[0]}")
        return default

    hidden, layers, vocab = size("hidden_size", "n_embd"), size("num_hidden_layers", "n_layer"), size("vocab_size")
    heads = size("num_attention_heads", "n_head")
    kv_heads, head = size("num_key_value_heads", default=heads), size("head_dim", default=hidden // heads)
    gated = "n_embd" not in config and config.get("model_type") not in ("gpt_neox", "opt")
    inner = size("intermediate_size", "n_inner", "ffn_dim", default=4 * hidden)
    attention = 2 * hidden * heads * head + 2 * hidden * kv_heads * head
    tied = bool(config.get("tie_word_embeddings", not gated))
    embeddings = vocab * hidden * (1 if tied else 2)
    per_layer = attention + (3 if gated else 2) * hidden * inner + 2 * hidden
    width, kv_width = heads * head, kv_heads * head
    linear = linear_layers(hidden, width, kv_width, inner, fused="n_embd" in config, gated=gated)
    parameters = embeddings + layers * per_layer + hidden
    return Shape(parameters, layers, hidden, width, kv_width, inner, vocab, linear)


def linear_layers(
    hidden: int, width: int, kv_width: int, inner: int, *, fused: bool, gated: bool
) -> dict[str, tuple[int, int]]:
    """The linear layers of a decoder layer, named as in GPT-2 (`fused`), Llama and Qwen (`gated`), or OPT."""
    if fused:
        return {"c_attn": (hidden, 3 * width), "c_proj": (width, hidden), "c_fc": (hidden, inner)} | {
            "mlp.c_proj": (inner, hidden)
        }
    attention = {"q_proj": (hidden, width), "k_proj": (hidden, kv_width), "v_proj": (hidden, kv_width)}
    if not gated:
        return attention | {"out_proj": (width, hidden), "fc1": (hidden, inner), "fc2": (inner, hidden)}
    up = dict.fromkeys(("gate_proj", "up_proj"), (hidden, inner))
    return attention | {"o_proj": (width, hidden)} | up | {"down_proj": (inner, hidden)}


@dataclass(frozen=True)
class Workload:
    """Tokens of one step of a phase: an upper bound, since a response may end early.

    `trained` go forward and backward, `in_a_pass` of them at once, `scored` forward only, `sampled` are generated;
    `at_once` sequences of `sequence` tokens each, `new_tokens` of them the response's, are in the KV cache; `reference`:
    whether a frozen copy of the model is kept; `gradients_held`: gradients that probes keep beside the update's own.
    """

    trained: int
    scored: int
    sampled: int
    at_once: int
    sequence: int
    in_a_pass: int
    reference: bool = False
    gradients_held: int = 0
    teachers: tuple["TeacherWork", ...] = ()
    new_tokens: int = 0


@dataclass(frozen=True)
class TeacherWork:
    """A teacher beside the policy: its parameters, the bytes that they take, and the tokens of a step that it scores."""

    num_parameters: int
    num_bytes: int
    scored: int


@dataclass(frozen=True)
class Spread:
    """Memory layout of a process.

    `sharded` is FSDP2, which sums gradients over ranks once an update or, if `sums_every_pass`, after each pass; `recomputed`
    is activation checkpointing, `engine_share` the fraction of a GPU's memory that a sampler
    with separate weights uses (0: it is on another device); None if the trainer's module samples.
    """

    sharded: bool = False
    recomputed: bool = False
    sums_every_pass: bool = False
    engine_share: float | None = None


def cost_of(
    shape: Shape,
    work: Workload,
    hardware: Hardware,
    *,
    half: bool,
    processes: int,
    adapter: int | None = None,
    spread: Spread = Spread(),
    libraries: int = 0,
) -> Cost:
    """Memory of one process and time of one step (step_seconds.py).

    6·P FLOP per trained token, 2·P per scored or sampled one; 4·P + 6·A if an adapter of A parameters is trained on a
    frozen model; 2·P more with activation checkpointing; 2·P of a teacher per token that it scores.

    `half`: forwards compute in 16 bit. `adapter` is A, None if the model itself is trained. `libraries`: bytes of host
    memory of the components' imports beyond torch and transformers.
    """
    shards = processes if spread.sharded else 1
    memory = {"libraries": GPU_LIBRARIES if hardware.gpus else CPU_LIBRARIES + libraries}
    memory |= _model_memory(shape.num_parameters, adapter, half=half, reference=work.reference, shards=shards)
    if work.gradients_held:
        of_one = 4 * (shape.num_parameters if adapter is None else adapter)
        memory["gradients of probes"] = -(-work.gradients_held * of_one // shards)
    if work.teachers:
        memory["teachers"] = sum(-(-one.num_bytes // shards) for one in work.teachers)
    training_peak = _training_peak(shape, work, hardware, half=half, sharded=shards > 1, recomputed=spread.recomputed)
    if hardware.gpus and adapter is None and shards == 1:
        training_peak["gradient of the head in a pass"] = 4 * shape.vocabulary * shape.hidden
    if shards > 1 and not spread.sums_every_pass and work.trained > processes * work.in_a_pass:
        training_peak["whole gradients of an update"] = 4 * (shape.num_parameters if adapter is None else adapter)
    sampling_peak = _sampling_peak(shape, work, hardware, half=half, processes=processes, spread=spread)
    turns = _turns(
        shape, work, hardware, memory, training_peak, half=half, adapter=adapter, shards=shards, spread=spread
    )
    if turns is not None:
        samples_more = sum(turns.sampling.values()) > sum(turns.training.values())
        memory = dict(turns.sampling if samples_more else turns.training)
    else:
        memory |= training_peak if sum(training_peak.values()) >= sum(sampling_peak.values()) else sampling_peak
    trained = TRAIN_FLOPS_PER_PARAMETER * (shape.num_parameters if adapter is None else adapter)
    trained += 0 if adapter is None else FROZEN_FLOPS_PER_PARAMETER * shape.num_parameters
    trained += 2 * shape.num_parameters if spread.recomputed else 0
    training = trained * work.trained + 2 * shape.num_parameters * work.scored
    training += sum(2 * one.num_parameters * one.scored for one in work.teachers)
    sampling = 2 * shape.num_parameters * work.sampled
    passes = -(-work.trained // max(1, work.in_a_pass))
    seconds = training_seconds(training, passes, shape.num_layers, hardware, processes)
    if work.sampled:
        seconds += _decoding_seconds(
            shape,
            work.sampled,
            work.at_once,
            work.sequence,
            work.new_tokens,
            hardware,
            processes,
            half=half,
            spread=spread,
        )
    return Cost(
        memory,
        seconds,
        (training + sampling) / 1e12,
        basis(hardware, processes),
        _device_bytes(hardware, processes),
        turns,
    )


def _turns(
    shape: Shape,
    work: Workload,
    hardware: Hardware,
    held: Mapping[str, int],
    training_peak: Mapping[str, int],
    *,
    half: bool,
    adapter: int | None,
    shards: int,
    spread: Spread,
) -> EngineMemory | None:
    """What trainer and engine take in turns, if the sampler has an engine on the trainer's GPU."""
    if not hardware.gpus or not work.at_once or not spread.engine_share:
        return None
    size = 2 if half else 4
    return engine_memory(
        held,
        training_peak,
        trained_parameters=-(-(shape.num_parameters if adapter is None else adapter) // shards),
        engine=round(spread.engine_share * hardware.gpus[0].memory_bytes),
        weights=size * shape.num_parameters,
        token=2 * shape.num_layers * shape.kv_width * size,
    )


def _device_bytes(hardware: Hardware, processes: int) -> int | None:
    """Memory available to one process: its share of a GPU, or of the host's memory; None if unknown."""
    if hardware.gpus:
        return hardware.gpus[0].memory_bytes // -(-processes // len(hardware.gpus))
    return None if hardware.memory_bytes is None else hardware.memory_bytes // processes


def _training_peak(
    shape: Shape, work: Workload, hardware: Hardware, *, half: bool, sharded: bool, recomputed: bool
) -> dict[str, int]:
    """Peak bytes of a pass, forward and backward."""
    block = max([LOGIT_BLOCK, *(gpu.memory_bytes // LOGIT_SHARE for gpu in hardware.gpus[:1])])
    logits = work.in_a_pass * min(shape.vocabulary, max(LOGIT_COLUMNS, block // max(1, work.in_a_pass)))
    kept = work.in_a_pass * shape.kept_bytes(half=half, recomputed=recomputed) + LOGIT_COPIES * 4 * logits
    on_cpu = CPU_RECOMPUTING_FACTOR if recomputed else CPU_ALLOCATION_FACTOR
    factor = GPU_ALLOCATION_FACTOR if hardware.gpus else on_cpu
    peak = {"activations of a pass": round(kept * factor)}
    if sharded:
        # The root's weights and gradients; one layer in use, one prefetched, and one layer's gradients twice.
        weight = 2 if half else 4
        peak["gathered weights of a pass"] = (weight + 4) * shape.outside_layers + (2 * weight + 8) * shape.of_a_layer
    return peak


def _sampling_peak(
    shape: Shape, work: Workload, hardware: Hardware, *, half: bool, processes: int, spread: Spread
) -> dict[str, int]:
    """Peak bytes of sampling with the trainer's module: its KV cache, and its gathered shards."""
    if not work.at_once or (spread.engine_share is not None and hardware.gpus):
        return {}
    cached = -(-work.at_once // processes) * work.sequence
    cache = min(2 * shape.num_layers * shape.kv_width * (2 if half else 4) * cached, _cache_share(hardware))
    peak = {"the sampler's cache": cache}
    if spread.sharded and processes > 1 and spread.engine_share is None:
        peak["whole weights while sampling"] = shape.num_parameters * (2 if half else 4)
    return peak


def _model_memory(
    parameters: int, adapter: int | None, *, half: bool, reference: bool, shards: int = 1
) -> dict[str, int]:
    """Bytes of weights, gradients, moments and reference.

    The reference of an adapter is the base model without it, or a copy of the adapter. With shards a process holds its
    part, and gathers 16-bit weights as it uses them.
    """
    if adapter is not None:
        memory = {
            "frozen weights": -(-parameters * (2 if half else 4) // shards),
            "adapter, gradients, moments": -(-adapter * TRAIN_BYTES_PER_PARAMETER // shards),
        }
        return memory | ({"reference adapter": -(-adapter * 4 // shards)} if reference else {})
    memory = {"weights, gradients, moments": -(-parameters * TRAIN_BYTES_PER_PARAMETER // shards)}
    if half and shards == 1:
        memory["16-bit weights"] = parameters * 2
    return memory | ({"reference model": -(-parameters * 4 // shards)} if reference else {})


def sampling_seconds(
    shape: Shape,
    tokens: int,
    hardware: Hardware,
    *,
    processes: int,
    rows: int,
    new_tokens: int,
    half: bool,
    spread: Spread,
) -> float:
    """Seconds to sample `tokens` tokens outside of training: `rows` responses of `new_tokens` each."""
    return _decoding_seconds(shape, tokens, rows, new_tokens, new_tokens, hardware, processes, half=half, spread=spread)


def _decoding_seconds(
    shape: Shape,
    tokens: int,
    rows: int,
    sequence: int,
    new_tokens: int,
    hardware: Hardware,
    processes: int,
    *,
    half: bool,
    spread: Spread,
) -> float:
    size = 2 if half else 4
    cached = 2 * shape.num_layers * shape.kv_width * size * sequence
    engine = bool(spread.engine_share and hardware.gpus)
    room = _cache_share(hardware)
    if engine:
        room = round((spread.engine_share or 0) * hardware.gpus[0].memory_bytes) - size * shape.num_parameters
    of_one = -(-rows // processes)
    batches = -(-of_one * cached // max(room, cached, 1))
    work = Decoding(tokens, rows, new_tokens, batches, size * shape.num_parameters, cached)
    return decoding_seconds(work, shape.num_parameters, shape.num_layers, hardware, processes, engine=engine)


def _cache_share(hardware: Hardware) -> int:
    """Bytes of KV cache: the embedded sampler decodes in batches that fit an eighth of the device's memory."""
    host = min(hardware.memory_bytes or HOST_MEMORY, HOST_MEMORY)
    return (hardware.gpus[0].memory_bytes if hardware.gpus else host) // 8
