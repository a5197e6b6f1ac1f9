"""One Protocol a kind: what the engine may ask of a component, and what a component may ask of the engine.

Only declarations and protocols: torch stands in annotations alone. Every component also is a `Component` (settings,
ports, rules); the kind's Protocol is what it does once a run opens it.
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
    """What the engine may ask of a component of any kind. Every component is a `Component`."""

    @property
    def version(self) -> int:
        """Its behaviour version."""
        ...

    def settings(self) -> dict[str, Any]: ...


# --- data ----------------------------------------------------------------------------------------------------------


class DataSet(Protocol):
    """Rows by number, each the same whenever it is asked for."""

    @property
    def rendering(self) -> Rendering: ...
    @property
    def max_prompt_tokens(self) -> int | None: ...
    @property
    def over_long(self) -> Literal["error", "drop"]: ...
    @property
    def on_bad_row(self) -> Literal["error", "drop"]:
        """What a row does that cannot be used: unreadable, or with a gold answer that the verifier cannot read."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what the rows say: part of the plan's digest."""
        ...

    @property
    def dropped(self) -> int:
        """How many unreadable rows were left out, because the spec asked for that."""
        ...

    def __len__(self) -> int: ...
    def row(self, index: int) -> Row: ...


class Data(Declared, Protocol):
    """A named source of questions with gold answers, or of documents."""

    @property
    def verifier(self) -> Verifier | None:
        """The data set's own verifier, where its answers need one."""
        ...

    def open(self, name: str) -> DataSet:
        """Reads and checks every row: an unreadable row is an error with file and line. No torch."""
        ...

    def tokenizer_files(self) -> Mapping[str, str] | None:
        """Files of the tokenizer that the data set brings (name -> content), None where it brings none."""
        ...


# --- model ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelSite:
    """What a model may use while it loads."""

    seed: int
    device: str
    tokenizer_folder: Callable[[str], Path]
    """Folder with the tokenizer files that the named data set brings."""


class AdaptedWeight(NamedTuple):
    """A frozen weight under its name in the model's own checkpoint, and what an adapter adds to it.

    `change(whole)` is that addend, float32, of the weight's shape; `whole` makes a tensor whole that lies in shards. None:
    nothing is added.
    """

    name: str
    weight: torch.nn.Parameter
    change: Callable[[Callable[[Tensor], Tensor]], Tensor] | None


class AttachedAdapter(Protocol):
    """Trained float32 parameters inside a module whose own weights are frozen; at first they change nothing."""

    merge: bool
    """Whether samplers with weights of their own get the sum of base and adapter, rather than the adapter."""

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """By their names in the module."""
        ...

    def off(self) -> AbstractContextManager[None]:
        """Inside, the module is the base alone; for forwards without gradient."""
        ...

    def dropping(self, update: int) -> AbstractContextManager[None]:
        """Inside, forwards and their backward passes of the update of that number use the adapter's dropout; the same
        number is the same dropout, whatever the update is split into."""
        ...

    def weights(self) -> Iterator[AdaptedWeight]:
        """Every weight of the base, tied ones once."""
        ...

    def save(self, folder: Path, tensors: Mapping[str, Tensor]) -> None:
        """Writes whole values of `parameters()` as peft's from_pretrained wants them."""
        ...

    def read(self, folder: Path) -> dict[str, Tensor]:
        """What `save` wrote."""
        ...


class Adapter(Declared, Protocol):
    """Declared inside a model: what is trained in place of its weights."""

    def num_parameters(self, linear: Mapping[str, tuple[int, int]]) -> int:
        """Trained parameters in one decoder layer, whose linear layers are given as the end of their name -> (inputs,
        outputs). For the plan: no torch."""
        ...

    def attach(self, module: torch.nn.Module, base: str, revision: str | None, seed: int) -> AttachedAdapter:
        """Freezes the module and puts the adapter into it. `base` and `revision` are what its files call the model.

        Raises SpecInvalid for settings that do not fit the module. Leaves every global random generator as it was.
        """
        ...


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model of transformers with fp32 weights, its tokenizer, and where both came from."""

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
        """Loads or initialises the model. Leaves every global random generator as it was."""
        ...


# --- sampling ------------------------------------------------------------------------------------------------------


class PolicyAccess(Protocol):
    """The policy for samplers that keep a copy of its weights. Every method is a collective call: all ranks make it, in
    the same order."""

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def has_adapter(self) -> bool:
        """Whether an adapter is to be handed over on a base that never changes: then `save_adapter` says all that is
        new."""
        ...

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """The weights under the names of the transformers checkpoint, whole, float32, one at a time; tied ones once.
        Those of the base where `has_adapter`; where an adapter is to be merged, the sums of both."""
        ...

    def save_adapter(self, folder: Path) -> None:
        """adapter_config.json and adapter_model.safetensors, as peft lays them out; written by rank 0."""
        ...

    def logprobs(self, context: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """log P(token | context, earlier tokens) of each token at temperature 1, in nats, by the trainer's own forward."""
        ...

    def barrier(self) -> None: ...


@dataclass(frozen=True)
class SamplerSite:
    """What a sampler may use while it is open: the trainer's own module for an embedded one."""

    model: LoadedModel
    device: str
    max_length: int
    """Context plus response, in tokens, that the model can take."""
    policy: PolicyAccess | None = None
    """For samplers with weights of their own; None where nobody trains."""
    folder: Path | None = None
    """Where weights may be written for an engine to read; None where nobody trains."""
    invariant: bool = False
    """Whether a sample must be the same, bit for bit, whatever else is drawn with it: only of samplers that provide
    `attempts[invariant]`."""


class OpenSampler(Protocol):
    """A sampler that can draw."""

    def generate(
        self, requests: Sequence[Request], decoding: Decoding, progress: Callable[[int, int], None] | None = None
    ) -> list[list[Generation]]:
        """One list a request, one Generation a seed, in order. Leaves the module's mode and every global random
        generator as they were. `progress(done, total)` counts samples."""
        ...

    def sync(self, version: int) -> None:
        """The trainer's weights are now those of this update; the next sample must come from them."""
        ...


class Sampler(Declared, Protocol):
    """Draws attempts; `SamplerSettings` brings all but `open`."""

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
        """Whether it draws from a copy of the weights, pushed by `sync`; else the trainer's module draws."""
        ...

    @property
    def device_share(self) -> float | None:
        """Share of a GPU's memory that its engine takes; None: it has no engine of its own."""
        ...

    def open(self, site: SamplerSite) -> AbstractContextManager[OpenSampler]: ...


@dataclass(frozen=True)
class ServedModel:
    """The run's model for a sampler that draws in servers: its declaration, and the loaded thing where that is not enough."""

    declared: Model
    load: Callable[[], LoadedModel]


@dataclass(frozen=True)
class ServerProcess:
    """A process for `prerl-spec serve` to start and to end: `ServerProcess("http://127.0.0.1:8000", ("vllm", "serve"), …)`."""

    url: str
    """Where it answers; `/health` there answers 200 once it can be asked."""
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    """Added to the caller's own; secrets stand here, never in the command."""
    log: Path
    left: tuple[Path, ...] = ()
    """Files that go when the process has ended."""
    notes: tuple[str, ...] = ()
    """What whoever starts it should know."""


@runtime_checkable
class ServedSampler(Sampler, Protocol):
    """A sampler that draws in servers, as `prerl-spec serve` sees it."""

    @property
    def urls(self) -> tuple[str, ...]: ...
    def servers(self, model: ServedModel, urls: Sequence[str]) -> tuple[ServerProcess, ...]:
        """A process for each of these urls that this machine can serve."""
        ...


# --- verdicts, rewards, filters ------------------------------------------------------------------------------------


class Verifier(Declared, Protocol):
    """Judges in a worker process of the engine's pool: the declaration travels there as JSON, never as a pickle.

    `right_example` and `wrong_example`, pairs (response, gold answer), are what `plugin check` tries it with.
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
        """Why this gold answer cannot be verified against, None when it can. Cheap; runs when data is opened."""
        ...


@runtime_checkable
class WarmedUp(Protocol):
    """A verifier whose first verdict would be slow."""

    def warm_up(self) -> None:
        """Imports and first calls: runs once in each worker process, before its first deadline."""
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
    """Says what each trained token earns (`credit`) and what is differentiated (`terms`); never sees rows."""

    @property
    def uses_rollouts(self) -> bool:
        """Whether it needs attempts drawn from the policy (False: documents)."""
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
        """Whether a ratio to the old policy enters (and so whether updates_per_batch > 1 asks for old log-probs)."""
        ...

    def parts(self) -> tuple[Objective, ...]:
        """(self,); a sum gives its terms."""
        ...

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        """Weights before any forward: group and batch statistics over all samples of an update, on every rank alike.
        `known` holds exactly the vectors of `reads()`, [N]: a plain mapping, nothing is computed by reading it."""
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
        """Steps at most, None where only the run can tell (a token budget)."""
        ...

    def initial(self) -> Mapping[str, float]:
        """The state before the first step, as JSON numbers."""
        ...

    def after(self, record: StepRecord, state: Mapping[str, float]) -> tuple[Mapping[str, float], bool]:
        """A pure fold, once a step: the new state, and whether the phase is over."""
        ...


class Optimizer(Declared, Protocol):
    @property
    def lr(self) -> float: ...
    @property
    def max_grad_norm(self) -> float: ...
    def build(self, named_parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> list[torch.optim.Optimizer]:
        """One or several torch optimizers that share the parameters among them."""
        ...

    def lr_factor(self, step: int, num_steps: int | None) -> float:
        """What every group's initial lr is multiplied by during step `step` (from 0) of `num_steps`."""
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
        """A tracker of Accelerate's, not yet started; whatever it writes lies below `folder`."""
        ...


# --- evaluation ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EvaluationSite:
    """What an evaluator may use; every call leaves the policy, its mode, its caches and all random generators alone."""

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
    """Scores the policy; `EvaluatorSettings` brings all but `score`."""

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
        """The verifier that the evaluator brings; None: that of the data set or the phase."""
        ...

    def data_sets(self) -> tuple[str, ...]:
        """Data sets of the spec whose rows are scored."""
        ...

    def count_questions(self) -> int | None:
        """Questions of a round beside those of `data_sets()`; None where only reading them tells. No torch."""
        ...

    def prepare(self) -> None:
        """Raises, before any training, for what can be known then: a task that nobody defines."""
        ...

    def score(self, site: EvaluationSite) -> list[Score]: ...


@runtime_checkable
class Fetching(Protocol):
    """An evaluator that downloads what it scores by."""

    def fetch(self) -> Iterator[str]:
        """Downloads into the hub's cache what scoring will read: yields a line for each."""
        ...
