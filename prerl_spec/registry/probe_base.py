"""The base class of probes that see gradients, and what a gradient costs."""

from collections.abc import Mapping
from typing import Any, ClassVar

from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.watching import ProbeNeed, ProbeSite
from prerl_spec.types import Step


class AroundUpdate(Component):
    """A probe that looks at a step's policy and gradients before and after its updates.

    Subclasses define `every`, `needs(objective, num_samples)` and `after(site, state)`; `before(site)` where something
    must be seen before the update, and `gradients_held` if they ask for gradients.
    """

    kind = "probe"
    gradients_held: ClassVar[int] = 0

    def measure(self, step: Step) -> Mapping[str, float]:
        return {}

    def before(self, site: ProbeSite) -> Any:
        return None


def gradient_needs(objective: Objective, num_samples: int) -> tuple[ProbeNeed, ...]:
    """What `site.gradient(objective, samples)` costs for `num_samples` samples: one forward and backward pass for each
    differentiated view, and a forward for each vector without gradient that the policy's own does not replace."""
    found: dict[ProbeNeed, None] = {}
    for part in objective.parts():
        terms, credit = part.needs(), part.reads()
        for need in sorted({*terms, *credit}, key=repr):
            replaced = need.of == "old" and need not in credit and need._replace(of="policy") in terms
            if need.of != "sampler" and not replaced:
                found[ProbeNeed(need._replace(entropy=False), num_samples, gradient=need.of == "policy")] = None
    return tuple(found)
