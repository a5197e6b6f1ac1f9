"""Models and adapters: what is loaded, and what is trained in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from prerl_spec.registry.kinds.declared import Declared

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from prerl_spec.text import Codec


@dataclass(frozen=True)
class ModelSite:
    """What a model may use while loading."""

    seed: int
    device: str
    tokenizer_folder: Callable[[str], Path]
    """Folder with the tokenizer files of the named data set."""
    trained: bool = True
    """Whether its weights are trained, hence float32: a teacher's may be loaded in the compute dtype."""


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
    """A causal language model of transformers with fp32 weights, its tokenizer, and the source of both.

    Every row of its input embedding gets its gradient, whatever the model's `pad_token_id`.
    """

    module: torch.nn.Module
    tokenizer: Any
    codec: Codec
    compute_dtype: torch.dtype
    source: Mapping[str, Any]
    """For the manifest: name, resolved revision, configuration class, parameters."""
    adapter: AttachedAdapter | None = None
    """What is trained instead of the module's own weights, which then are frozen and in `compute_dtype`."""

    def __post_init__(self) -> None:
        # transformers gives the embedding of tokens the row of `pad_token_id` as `padding_idx`: torch then leaves out the
        # gradient through that token as an input. In many models that token is EOS too, and stands in contexts.
        for embedding in padded_embeddings(self.module):
            embedding.padding_idx = None


def padded_embeddings(module: torch.nn.Module) -> Iterator[torch.nn.Embedding]:
    """The embeddings of a module with a row that gets no gradient as an input, on any token (per-layer embeddings too).

    Not those whose own forward reads `padding_idx`, as embeddings that count positions from it do.
    """
    for part in module.modules():
        if getattr(part, "padding_idx", None) is None or not hasattr(part, "num_embeddings"):
            continue
        of_torch = type(part).__module__.startswith("torch.")
        code = getattr(type(part).forward, "__code__", None)
        if of_torch or code is None or "padding_idx" not in code.co_names:
            yield cast("torch.nn.Embedding", part)


class Model(Declared, Protocol):
    @property
    def dtype(self) -> str: ...
    def build(self, site: ModelSite) -> LoadedModel:
        """Loads or initialises the model. Does not change any global random generator."""
        ...
