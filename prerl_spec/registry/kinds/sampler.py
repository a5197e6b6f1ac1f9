"""Samplers: how responses are drawn, in the trainer's process or in servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

from prerl_spec.registry.kinds.declared import Declared
from prerl_spec.registry.kinds.model import LoadedModel, Model
from prerl_spec.types import Decoding, Generation, Request

if TYPE_CHECKING:
    from torch import Tensor


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


class EndedSample(NamedTuple):
    """A sample that has ended while others are still drawn: `EndedSample(3, 0, (5, 9, 2), "eos")` is that of the fourth
    request's first seed. Tokens and stop reason are those of the Generation that the call will return."""

    request: int
    sample: int
    tokens: tuple[int, ...]
    stop: Literal["eos", "stop", "length"]


@runtime_checkable
class StreamingSampler(OpenSampler, Protocol):
    """An open sampler that tells samples as they end: they are then verified while the others are still drawn."""

    def stream(
        self,
        requests: Sequence[Request],
        decoding: Decoding,
        ended: Callable[[Sequence[EndedSample]], None],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[Generation]]:
        """The same as `generate`; calls `ended`, in the caller's thread, with samples that have ended, each at most once, in
        any order. One that is not told is verified after the call."""
        ...


@runtime_checkable
class ComparedSampler(Protocol):
    """An open sampler that compares log-probabilities with the trainer's after every `sync`."""

    @property
    def gap_limit(self) -> float:
        """The largest mean |log P_trainer − log P_sampler| per sampled token in nats that rounding explains."""
        ...


@runtime_checkable
class ToldSampler(Protocol):
    """An open sampler that says how it computes, for the manifest: that is found when it opens."""

    @property
    def computes(self) -> str:
        """ "each token by a step of its own"."""
        ...


@runtime_checkable
class ForetoldSampler(Protocol):
    """A sampler that says, for the plan, how it will compute as far as the model's configuration tells."""

    def expects(self, config: Mapping[str, Any], *, has_adapter: bool) -> str:
        """A clause: "each token by a step of its own"; `config` is that of transformers."""
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
