"""One Protocol per kind: what the engine calls on a component, and what a component may call on the engine.

Only declarations and protocols: torch appears in annotations only. Every component is also a `Component` (settings,
ports, rules); the Protocol of its kind is its behaviour once a run opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

from prerl_spec.needs import Credit, Need
from prerl_spec.types import (
    Array,
    Attempt,
    Decoding,
    Generation,
    Group,
    Rendering,
    Request,
    Row,
    Score,
    Step,
    StepRecord,
    Tokens,
    Verdict,
)

if TYPE_CHECKING:
    import torch
    from accelerate.tracking import GeneralTracker
    from torch import Tensor

    from prerl_spec.text import Codec


class Declared(Protocol):
    """What the engine reads of a component of any kind. Every component is a `Component`."""

    @property
    def version(self) -> int:
        """Its behaviour version."""
        ...

    def settings(self) -> dict[str, Any]: ...


# --- data ----------------------------------------------------------------------------------------------------------


class DataSet(Protocol):
    """Rows by index; the same index always returns the same row."""

    @property
    def rendering(self) -> Rendering: ...
    @property
    def max_prompt_tokens(self) -> int | None: ...
    @property
    def over_long(self) -> Literal["error", "drop"]: ...
    @property
    def on_bad_row(self) -> Literal["error", "drop"]:
        """What happens to an unusable row: unreadable, or with a gold answer that the verifier cannot parse."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content of the rows: part of the plan digest."""
        ...

    @property
    def dropped(self) -> int:
        """Number of unreadable rows that were dropped because the spec allows it."""
        ...

    def __len__(self) -> int: ...
    def row(self, index: int) -> Row: ...


class Data(Declared, Protocol):
    """A named source of questions with gold answers, or of documents."""

    @property
    def verifier(self) -> Verifier | None:
        """The data set's own verifier, if its answers need one."""
        ...

    def open(self, name: str) -> DataSet:
        """Reads and checks every row: an unreadable row is an error with file and line. No torch."""
        ...

    def tokenizer_files(self) -> Mapping[str, str] | None:
        """Files of the tokenizer that the data set provides (name -> content), or None."""
        ...


# --- model ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelSite:
    """What a model may use while loading."""

    seed: int
    device: str
    tokenizer_folder: Callable[[str], Path]
    """Folder with the tokenizer files of the named data set."""


class AdaptedWeight(NamedTuple):
    """A frozen weight under its name in the model's own checkpoint, and what an adapter adds to it.

    `change(whole)` is that addend, float32, of the weight's shape; `whole` gathers a sharded tensor. None: nothing is
    added.
    """

    name: str
    weight: torch.nn.Parameter
    change: Callable[[Callable[[Tensor], Tensor]], Tensor] | None


class AttachedAdapter(Protocol):
    """Trained float32 parameters inside a module whose own weights are frozen; at first they change nothing."""

    merge: bool
    """Whether samplers with their own weights receive the sum of base and adapter, rather than the adapter."""

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """By their names in the module."""
        ...

    def off(self) -> AbstractContextManager[None]:
        """A context in which the module is the base model alone; for forwards without gradient."""
        ...

    def dropping(self, update: int) -> AbstractContextManager[None]:
        """A context in which forward and backward passes use the adapter's dropout for the update of that number.

        The same number yields the same dropout masks, however the update is split into passes.
        """
        ...

    def weights(self) -> Iterator[AdaptedWeight]:
        """Every weight of the base, tied ones once."""
        ...

    def save(self, folder: Path, tensors: Mapping[str, Tensor]) -> None:
        """Writes whole values of `parameters()` in the format that peft's from_pretrained reads."""
        ...

    def read(self, folder: Path) -> dict[str, Tensor]:
        """What `save` wrote."""
        ...


class Adapter(Declared, Protocol):
    """Declared inside a model: trained instead of the model's weights."""

    def num_parameters(self, linear: Mapping[str, tuple[int, int]]) -> int:
        """Number of trained parameters in one decoder layer, for the plan; no torch.

        `linear` maps the end of each linear layer's name to (inputs, outputs).
        """
        ...

    def attach(self, module: torch.nn.Module, base: str, revision: str | None, seed: int) -> AttachedAdapter:
        """Freezes the module and inserts the adapter. `base` and `revision` identify the model in the adapter's files.

        Raises SpecInvalid for settings that do not fit the module. Does not change any global random generator.
        """
        ...


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model of transformers with fp32 weights, its tokenizer, and the source of both."""

    module: torch.nn.Module
    tokenizer: Any
    codec: Codec
    compute_dtype: torch.dtype
    source: Mapping[str, Any]
    """For the manifest: name, resolved revision, configuration class, parameters."""
    adapter: AttachedAdapter | None = None
    """What is trained instead of the module's own weights, which then are frozen and in `compute_dtype`."""


class Model(Declared, Protocol):
    @property
    def dtype(self) -> str: ...
    def build(self, site: ModelSite) -> LoadedModel:
        """Loads or initialises the model. Does not change any global random generator."""
        ...


# --- sampling ------------------------------------------------------------------------------------------------------


class PolicyAccess(Protocol):
    """The policy, for samplers that keep a copy of its weights.

    Every method is a collective call: all ranks must call it, in the same order.
    """

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def has_adapter(self) -> bool:
        """Whether only an adapter is trained, on a frozen base, and not merged: then `save_adapter` covers every change."""
        ...

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """The weights under the names of the transformers checkpoint, whole, float32, one at a time; tied ones once.
        Base weights if `has_adapter`; sums of base and adapter if the adapter is to be merged."""
        ...

    def save_adapter(self, folder: Path) -> None:
        """Writes adapter_config.json and adapter_model.safetensors in peft's format; rank 0 writes."""
        ...

    def logprobs(self, context: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """log P(token | context, earlier tokens) of each token at temperature 1, in nats, from the trainer's own forward."""
        ...

    def barrier(self) -> None: ...


@dataclass(frozen=True)
class SamplerSite:
    """What a sampler may use while it is open: the trainer's own module for an embedded one."""

    model: LoadedModel
    device: str
    max_length: int
    """Maximum length of context plus response, in tokens."""
    policy: PolicyAccess | None = None
    """For samplers with their own weights; None outside training."""
    folder: Path | None = None
    """Folder where weights may be written for an engine to read; None outside training."""
    invariant: bool = False
    """Whether a sample must be bit-identical whatever else is in its batch; only for samplers that provide
    `attempts[invariant]`."""


class OpenSampler(Protocol):
    """A sampler that is open and can generate."""

    def generate(
        self, requests: Sequence[Request], decoding: Decoding, progress: Callable[[int, int], None] | None = None
    ) -> list[list[Generation]]:
        """One list per request, one Generation per seed, in order. `progress(done, total)` counts samples.

        Does not change the module's train mode or any global random generator.
        """
        ...

    def sync(self, version: int) -> None:
        """Updates the sampler's weights: `version` is the trainer's update, and the next sample must use its weights."""
        ...


class Sampler(Declared, Protocol):
    """Samples attempts; `SamplerSettings` provides everything except `open`."""

    @property
    def group_size(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @property
    def top_p(self) -> float: ...
    @property
    def top_k(self) -> int: ...
    @property
    def max_new_tokens(self) -> int: ...
    @property
    def stop(self) -> tuple[str, ...]: ...
    @property
    def own_weights(self) -> bool:
        """Whether it samples from its own copy of the weights, updated by `sync`; else from the trainer's module."""
        ...

    @property
    def device_share(self) -> float | None:
        """Fraction of a GPU's memory that its engine takes; None: it has no separate engine."""
        ...

    def open(self, site: SamplerSite) -> AbstractContextManager[OpenSampler]: ...


@dataclass(frozen=True)
class ServedModel:
    """The run's model for a sampler that uses servers: its declaration, and a loader for when that is not enough."""

    declared: Model
    load: Callable[[], LoadedModel]


@dataclass(frozen=True)
class ServerProcess:
    """A process that `prerl-spec serve` starts and stops: `ServerProcess("http://127.0.0.1:8000", ("vllm", "serve"), …)`."""

    url: str
    """Its address; `/health` there returns 200 once it is ready."""
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    """Added to the caller's environment; secrets are passed here, never in the command."""
    log: Path
    left: tuple[Path, ...] = ()
    """Files to delete when the process has ended."""
    notes: tuple[str, ...] = ()
    """Notes to print when it is started."""


@runtime_checkable
class ServedSampler(Sampler, Protocol):
    """A sampler that uses servers, as `prerl-spec serve` sees it."""

    @property
    def urls(self) -> tuple[str, ...]: ...
    def servers(self, model: ServedModel, urls: Sequence[str]) -> tuple[ServerProcess, ...]:
        """One process for each of these URLs that this machine can serve."""
        ...


# --- verdicts, rewards, filters ------------------------------------------------------------------------------------


class Verifier(Declared, Protocol):
    """Judges responses in a worker process of the engine's pool, to which its settings are sent as JSON, never as a pickle.

    `plugin check` tests it with `right_example` and `wrong_example`, pairs (response, gold answer).
    """

    @property
    def num_workers(self) -> int: ...
    @property
    def seconds_allowed(self) -> float: ...
    @property
    def memory_bytes(self) -> int: ...
    def judge(self, response: str, gold: str) -> Verdict:
        """The verdict on a finished response (a truncated one is unparsable before any verifier sees it). Runs in the
        main thread of a worker process; raising is an `error` verdict. Pure: same inputs, same verdict."""
        ...

    def check_gold(self, gold: str) -> str | None:
        """The reason why this gold answer cannot be used, or None. Cheap: it runs when data is opened."""
        ...


@runtime_checkable
class WarmedUp(Protocol):
    """A verifier whose first verdict would be slow without a warm-up."""

    def warm_up(self) -> None:
        """Runs imports and first calls, once in each worker process, before its first deadline."""
        ...


class Reward(Declared, Protocol):
    def reward(self, attempt: Attempt, group: Group) -> float:
        """A term that is added to the verdict's score. Called for verified attempts only."""
        ...


class Filter(Declared, Protocol):
    @property
    def refill_rounds(self) -> int: ...
    def keep(self, group: Group) -> bool:
        """Whether the group stays in the step; dropped groups are replaced in at most `refill_rounds` rounds."""
        ...


# --- objectives ----------------------------------------------------------------------------------------------------


class Objective(Declared, Protocol):
    """Computes the credit of each trained token (`credit`) and the per-token loss (`terms`); never sees rows."""

    @property
    def uses_rollouts(self) -> bool:
        """Whether it needs attempts sampled from the policy (False: documents)."""
        ...

    def needs(self) -> frozenset[Need]:
        """Every vector that `terms` of this part reads."""
        ...

    def reads(self) -> frozenset[Need]:
        """Every vector that `credit` of this part reads, none of them with gradient: each costs a forward of all samples
        (the sampler's excepted), weighted or not."""
        ...

    @property
    def scope(self) -> Literal["response", "all"]:
        """Which tokens of a document are trained; always "response" for an objective that samples."""
        ...

    @property
    def min_group(self) -> int: ...
    @property
    def uses_ratio(self) -> bool:
        """Whether it uses a ratio to the old policy, which needs old log-probs where updates_per_batch > 1."""
        ...

    def parts(self) -> tuple[Objective, ...]:
        """(self,); a sum returns its terms."""
        ...

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        """Advantages and weights, before any forward with gradient; the same on every rank.

        Group and batch statistics are over all samples of an update. `known` holds exactly the vectors of `reads()`,
        [N]: a plain mapping, nothing is computed by reading it.
        """
        ...

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] per-token loss, pure; whole samples. The engine multiplies by `weight_n` and sums: never average here."""
        ...


# --- schedules, optimizers -----------------------------------------------------------------------------------------


class Schedule(Declared, Protocol):
    @property
    def optimizer(self) -> Literal["carry", "reset"] | None: ...
    @property
    def lr_schedule(self) -> Literal["restart", "carry"]: ...
    @property
    def reference(self) -> Literal["resync", "keep"]: ...
    @property
    def data(self) -> Literal["carry", "restart"]: ...
    @property
    def max_steps(self) -> int | None:
        """Maximum number of steps; None if it is known only during the run (a token budget)."""
        ...

    def initial(self) -> Mapping[str, float]:
        """The state before the first step, as JSON numbers."""
        ...

    def after(self, record: StepRecord, state: Mapping[str, float]) -> tuple[Mapping[str, float], bool]:
        """A pure fold, called once per step: the new state, and whether the phase ends."""
        ...


class Optimizer(Declared, Protocol):
    @property
    def lr(self) -> float: ...
    @property
    def max_grad_norm(self) -> float: ...
    def build(self, named_parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> list[torch.optim.Optimizer]:
        """One or several torch optimizers that partition the parameters."""
        ...

    def lr_factor(self, step: int, num_steps: int | None) -> float:
        """Factor on every parameter group's initial lr during step `step` (from 0) of `num_steps`."""
        ...


# --- watching ------------------------------------------------------------------------------------------------------


class Probe(Declared, Protocol):
    @property
    def every(self) -> int: ...
    def measure(self, step: Step) -> Mapping[str, float]:
        """Metrics of a verified step, before it is trained on."""
        ...


class Tracker(Declared, Protocol):
    def accelerate_tracker(self, run_name: str, folder: Path) -> GeneralTracker:
        """An Accelerate tracker that is not yet started; all its files are written below `folder`."""
        ...


# --- evaluation ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EvaluationSite:
    """What an evaluator may use; no call changes the policy, its mode, its caches or any random generator."""

    phase: str
    global_step: int
    generated_tokens: int
    trained_tokens: int
    seed: int
    codec: Codec
    tokenizer: Any
    max_length: int
    weights_hash: str
    decoding: Decoding
    """The sampler's own; an evaluator's settings override it."""
    rendering: Rendering
    """That of the first phase's data set: the default system prompt and chat of lm-eval tasks."""
    verifier: Verifier | None
    data: Mapping[str, DataSet]
    data_verifier: Mapping[str, Verifier | None]
    folder: Path
    """Where score caches and task files may be written."""
    generate: Callable[[Sequence[Request], Decoding], list[list[Generation]]]
    """Sharded over ranks and gathered: the same result on each."""
    continuation_logps: Callable[[Sequence[tuple[tuple[int, ...], tuple[int, ...]]]], list[tuple[float, bool]]]
    """For each (context, continuation): the summed log-probability of the continuation at temperature 1, and whether
    greedy decoding would have produced it."""
    verify: Callable[[Verifier, Sequence[tuple[str, str, bool]]], list[Verdict]]
    """(response, gold, truncated) -> verdicts, through the worker processes."""
    progress: Callable[[str, int, int], None] = field(default=lambda what, done, total: None)


class Evaluator(Declared, Protocol):
    """Scores the policy; `EvaluatorSettings` provides everything except `score`."""

    @property
    def at(self) -> tuple[str, ...]: ...
    @property
    def every(self) -> int | Literal["off"]: ...
    @property
    def samples(self) -> int: ...
    @property
    def max_new_tokens(self) -> int | None: ...
    @property
    def limit(self) -> int | Literal["off"]: ...
    @property
    def seed(self) -> int | None: ...
    @property
    def own_verifier(self) -> Verifier | None:
        """The evaluator's own verifier; None: that of the data set or the phase."""
        ...

    def data_sets(self) -> tuple[str, ...]:
        """Data sets of the spec whose rows are scored."""
        ...

    def count_questions(self) -> int | None:
        """Number of questions besides those of `data_sets()`; None if it is known only after reading them. No torch."""
        ...

    def prepare(self) -> None:
        """Raises, before any training, for errors that can be detected then, such as an undefined task."""
        ...

    def score(self, site: EvaluationSite) -> list[Score]: ...


@runtime_checkable
class Fetching(Protocol):
    """An evaluator that downloads the files it scores with."""

    def fetch(self) -> Iterator[str]:
        """Downloads what scoring will read into the hub's cache, yielding one line for each file."""
        ...
