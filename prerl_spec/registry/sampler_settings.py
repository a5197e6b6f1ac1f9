"""Settings common to all samplers: how many attempts a prompt gets, and how their tokens are sampled."""

from collections.abc import Iterable
from typing import Annotated, ClassVar

from pydantic import Field

from prerl_spec.codes import Code
from prerl_spec.registry.component import Component, Conflict, Place, Wiring


class SamplerSettings(Component):
    """Base class of samplers: shared settings and ports. Subclasses implement `open(site)`.

    All samplers provide `attempts` and `logprobs[sampling]`: the log-probability, in nats, of each token under the distribution
    it was sampled from (tempered, truncated by top_k and top_p, renormalised; at temperature 0 the plain distribution).
    """

    kind: ClassVar = "sampler"
    own_weights: ClassVar[bool] = False
    """Whether it samples from its own copy of the weights; else it samples from the trainer's module."""

    @property
    def device_share(self) -> float | None:
        """Fraction of a GPU's memory that its engine takes; None: it has no separate engine."""
        return None

    group_size: int = Field(8, ge=1, description="attempts per prompt")
    temperature: float = Field(1.0, ge=0, description="divides the logits; 0 is greedy, for evaluation only")
    top_p: float = Field(
        1.0, gt=0, le=1, description="nucleus sampling: total probability of the tokens kept; 1 is off"
    )
    top_k: int = Field(0, ge=0, description="sample from this many most likely tokens; 0 is off")
    max_new_tokens: int = Field(1024, ge=1, description="a response that reaches this many tokens is truncated")
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="strings that end a response; their tokens are part of it and are scored"
    )

    def provides(self) -> frozenset[str]:
        return frozenset({"attempts", "logprobs[sampling]"})

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        """A greedy sampler cannot serve a phase that trains on its samples."""
        if self.temperature == 0 and wiring.objective is not None and wiring.objective.uses_rollouts:
            yield Conflict(
                Code.CONTRADICTION,
                "temperature 0 in a phase that trains on its samples: its log-probabilities are those of the tempered "
                "distribution, which is undefined at 0",
                (Place("self", "temperature"),),
                help="write a temperature above 0; an evaluator may set temperature = 0 for itself",
            )
