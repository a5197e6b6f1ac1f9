"""Low-rank adapters on a frozen model: the declaration; peft makes the layers."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from prerl_spec.sdk import AttachedAdapter, Code, Component, Conflict, Place, Prerequisite, Wiring

if TYPE_CHECKING:
    import torch


class Lora(Component):
    """Low-rank adaptation (arXiv:2106.09685): W + (alpha/rank)·B·A with W frozen, A drawn from the run's seed, B = 0.

    A and B are float32. W is held in the model's compute dtype: no update has to fit into it.
    """

    kind: ClassVar[Literal["adapter"]] = "adapter"

    rank: int = Field(default=16, ge=1, description="Rank r of the update B·A.")
    alpha: float = Field(default=32.0, gt=0, description="The update is scaled by alpha / rank.")
    targets: Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default="all-linear",
        examples=[("q_proj",)],
        description="Names of the linear layers that get an adapter; all: but the output head.",
    )
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the adapter's inputs left out of an update on documents; off where responses are sampled.",
    )
    merge: bool = Field(
        default=False,
        description="Give samplers with weights of their own W + (alpha/rank)·B·A in place of W and the adapter.",
    )

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        """A setting has an effect somewhere in the run."""
        if self.dropout and wiring.objectives and all(getattr(o, "uses_rollouts", False) for o in wiring.objectives):
            yield Conflict(
                Code.NO_EFFECT,
                "dropout has no effect: no phase trains on documents, and a response must be scored by the distribution "
                "that drew it",
                (Place("self", "dropout"),),
                help="leave dropout out",
            )
        if self.merge and wiring.objectives and not any(getattr(s, "own_weights", False) for s in wiring.samplers):
            yield Conflict(
                Code.NO_EFFECT,
                "merge has no effect: no sampler of the run keeps weights of its own",
                (Place("self", "merge"),),
                help="leave merge out; a phase's last checkpoint holds a merged model in any case",
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
        """Freezes the module and puts the layers into it, in place; `base` and `revision` are what the adapter's files
        call the model. Raises SpecInvalid for a target that is the name of no linear layer."""
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
