"""Probes and trackers: what is measured, and where metrics are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from prerl_spec.needs import Need
from prerl_spec.registry.kinds.declared import Declared
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.types import Array, Step

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker


class Probe(Declared, Protocol):
    @property
    def every(self) -> int: ...
    def measure(self, step: Step) -> Mapping[str, float]:
        """Metrics of a verified step, before it is trained on: finite numbers. One without a value is left out: a metric
        that is not finite ends the step with exit 5."""
        ...


class ProbeNeed(NamedTuple):
    """What a probe asks of the model on a step that it measures: `ProbeNeed(Need(Conditional()), 8, gradient=True)`.

    One forward of `samples` responses in the view of `need`, and with `gradient` a backward pass. Of the policy
    `need.of` is "policy", also where no gradient is wanted.
    """

    need: Need
    samples: int
    gradient: bool = False


class GradientView(Protocol):
    """The gradient of an objective over the trained parameters (an adapter's alone, where there is one); never applied.

    With sharded weights every rank holds its shards of it, and each method is a collective call.
    """

    def dots(self, other: GradientView) -> Mapping[str, float]:
        """⟨g, g'⟩ of each layer: "embeddings", "layer_0" …, "head" (all that is neither an embedding nor in a decoder
        layer). They sum to the whole."""
        ...

    def dot(self, other: GradientView) -> float:
        """⟨g, g'⟩ over all parameters."""
        ...

    def norm(self) -> float:
        """√⟨g, g⟩"""
        ...


class ProbeSite(Protocol):
    """What a probe may ask of the engine about a step. No call changes a weight, `.grad`, an optimizer's state or any
    random generator; each is a collective call, so every rank must make the same ones in the same order."""

    @property
    def step(self) -> Step: ...
    @property
    def objective(self) -> Objective:
        """The phase's objective."""
        ...

    def gradient(self, objective: Objective, samples: Sequence[int] | None = None) -> GradientView:
        """∇ Σ weight × term of an objective over these samples of the step (None: all), under the current weights.

        The credit is that of the whole step in one update; only then are the other samples' weights set to 0.
        """
        ...

    def log_probs(self, need: Need, samples: Sequence[int]) -> Array:
        """[N] log-probabilities, or entropies, in nats of these samples' trained tokens under the current weights (or the
        reference's, or as the sampler recorded them), without gradient; NaN for the tokens of other samples."""
        ...


@runtime_checkable
class UpdateProbe(Probe, Protocol):
    """A probe that sees gradients, and the policy before and after the step's updates; `AroundUpdate` is its base class.

    It is called for steps with at least one sample, on every rank; `measure` is called before `before`.
    """

    @property
    def gradients_held(self) -> int:
        """How many GradientViews are alive at once, for the plan: each takes 4 bytes a trained parameter."""
        ...

    def needs(self, objective: Objective, num_samples: int) -> tuple[ProbeNeed, ...]:
        """At most what a measured step of `num_samples` responses asks of the site, in a phase with this objective."""
        ...

    def before(self, site: ProbeSite) -> Any:
        """Called before the step's first update; what it returns is handed to `after`."""
        ...

    def after(self, site: ProbeSite, state: Any) -> Mapping[str, float]:
        """Metrics, finite numbers, called after the step's last update; the site then answers for the new weights."""
        ...


class Tracker(Declared, Protocol):
    def accelerate_tracker(self, run_name: str, folder: Path) -> GeneralTracker:
        """An Accelerate tracker that is not yet started; all its files are written below `folder`."""
        ...
