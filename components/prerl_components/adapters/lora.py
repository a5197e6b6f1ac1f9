"""Low-rank adapters on a frozen model: the declaration; peft builds the layers."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from prerl_spec.sdk import AttachedAdapter, Code, Component, Conflict, Place, Prerequisite, Wiring

if TYPE_CHECKING:
    import torch


class Lora(Component):
    """Low-rank adaptation (arXiv:2106.09685): W + (alpha/rank)·B·A with W frozen, A drawn from the run's seed, B = 0.

    A and B are float32. W is kept in the model's compute dtype, since it receives no updates.
    """

    kind: ClassVar[Literal["adapter"]] = "adapter"

    rank: int = Field(default=16, ge=1, description="Rank r of the update B·A.")
    alpha: float = Field(default=32.0, gt=0, description="The update is scaled by alpha / rank.")
    targets: Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default="all-linear",
        examples=[("q_proj",)],
        description='Names of the linear layers to adapt; "all-linear": every linear layer except the LM head.',
    )
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Dropout probability of the adapter's input channels; applied when training on documents only.",
    )
    merge: bool = Field(
        default=False,
        description="Push merged weights W + (alpha/rank)·B·A to samplers that keep a separate copy of the weights.",
    )

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        """Reports settings that have no effect anywhere in the run."""
        if self.dropout and wiring.objectives and all(o.uses_rollouts for o in wiring.objectives):
            yield Conflict(
                Code.NO_EFFECT,
                "dropout has no effect: no phase trains on documents, and a sampled response must be scored under the "
                "distribution it was sampled from",
                (Place("self", "dropout"),),
                help="remove dropout",
            )
        if self.merge and wiring.objectives and not any(s.own_weights for s in wiring.samplers):
            yield Conflict(
                Code.NO_EFFECT,
                "merge has no effect: no sampler of the run keeps a separate copy of the weights",
                (Place("self", "merge"),),
                help="remove merge; the last checkpoint of a phase contains a merged model in any case",
            )

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        return (Prerequisite("package", "peft>=0.20,<1", "pip install 'prerl-spec[train]'"),)

    def num_parameters(self, linear: Mapping[str, tuple[int, int]]) -> int:
        """Σ rank·(inputs + outputs) over the targets among the linear layers of one decoder layer."""
        return sum(
            self.rank * (inputs + outputs)
            for name, (inputs, outputs) in linear.items()
            if self.targets == "all-linear"
            or any(f".{target}".endswith(f".{name}") or f".{name}".endswith(f".{target}") for target in self.targets)
        )

    def attach(self, module: "torch.nn.Module", base: str, revision: str | None, seed: int) -> AttachedAdapter:
        """Freezes the module and injects the adapter layers in place; `base` and `revision` identify the base model in
        adapter_config.json. Raises SpecInvalid for a target that names no linear layer."""
        from prerl_components.adapters.low_rank import LowRank

        return LowRank(
            module,
            rank=self.rank,
            alpha=self.alpha,
            targets=self.targets,
            dropout=self.dropout,
            merge=self.merge,
            base=base,
            revision=revision,
            seed=seed,
        )
