"""Whether two arms of a study train alike, by the gradients of their objectives and the meaning of all else.

RLOO, say, is the group mean as baseline times G/(G − 1), and an optimizer that divides by the size of gradients makes no
difference of a factor. What only evaluators or probes differ in trains nothing. Called before anything of a study runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.build_graph import build_graph
from prerl_spec.compiler.graph import Graph, Phase
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.digest import meaning
from prerl_spec.compiler.planning.study_rules import same_arms
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.errors import Diagnostic
from prerl_spec.testing.same_gradients import LARGE, SMALL, gradient_factor, ignores_factor

NO_DIFFERENCE = frozenset({"run", "cut", "evaluate", "phases", "sampler", "verifier"})
"""Keys of a plan's meaning that hold no difference in training: phases have components of their own, and are compared apart."""
NO_DIFFERENCE_IN_A_PHASE = frozenset({"id", "objective", "probes", "tokens_per_pass"})
UNINTENDED = 2.0
"""The largest factor by which two ways to write one objective differ: G/(G − 1) of the smallest group. A larger one is a
coefficient that somebody has chosen, and max_grad_norm may see it."""


@dataclass(frozen=True)
class Alike:
    """Two plans that train alike: of each phase of the second, how many times as long its gradients are as the first's."""

    factors: Mapping[str, float]
    is_seen: bool = False
    """Whether an optimizer may see one of the factors: where gradients are near its eps, or clipped in one plan alone."""

    @property
    def is_equal(self) -> bool:
        return all(factor == 1 for factor in self.factors.values())


def alike_findings(resolved: Resolved, plans: Mapping[str, Plan]) -> tuple[Diagnostic, ...]:
    """At the name of each arm that trains like an earlier one and means something else an error (E0701), or a warning (W0702)
    where its gradients are longer by a factor that is not quite without effect.

    Arms that mean the same are found without their gradients (study_rules.py). `plans` has the plan of each arm, all with the
    same seed.
    """
    found: list[Diagnostic] = []
    for name, plan in plans.items():
        for earlier, other in plans.items():
            if earlier == name:
                break
            if _meaning(other) != _meaning(plan) and (same := alike(other, plan)) is not None:
                found.append(_diagnostic(resolved, earlier, name, same, plan))
                break
    return tuple(found)


def alike(first: Plan, second: Plan) -> Alike | None:
    """How two plans train alike; None if they train differently. Raises EnvironmentUnmet, Drift for what cannot be built."""
    if len(first.phases) != len(second.phases) or _around_phases(first) != _around_phases(second):
        return None
    graphs = build_graph(first, first.spec_text), build_graph(second, second.spec_text)
    factors: dict[str, float] = {}
    is_seen = False
    for index, phase in enumerate(graphs[1].phases):
        earlier = graphs[0].phases[index]
        of_first, of_second = (meaning(plan)["phases"][index] for plan in (first, second))
        if _around(of_first) != _around(of_second):
            return None
        if of_first["objective"] == of_second["objective"]:
            factors[phase.id] = 1.0
            continue
        factor = gradient_factor(earlier, phase, binary=_is_binary(graphs[1], phase))
        if factor is None:
            return None
        if factor != 1:
            optimizer = phase.optimizer.component
            if not ignores_factor(optimizer, factor, LARGE):
                return None
            is_small = max(factor, 1 / factor) <= UNINTENDED * (1 + 1e-9)
            is_seen = is_seen or not (is_small and ignores_factor(optimizer, factor, SMALL))
        factors[phase.id] = factor
    return Alike(factors, is_seen)


def _diagnostic(resolved: Resolved, earlier: str, name: str, same: Alike, plan: Plan) -> Diagnostic:
    if same.is_equal:
        message = f"the arms `{earlier}` and `{name}` differ in nothing: in every phase their gradients are equal"
        return same_arms(resolved, earlier, name, message, help="remove one of them, or change what it is to differ in")
    optimizers = {phase.id: phase.optimizer.use for phase in plan.phases}
    seen_by = " and ".join(sorted({f"`{optimizers[phase]}`" for phase, factor in same.factors.items() if factor != 1}))
    length = f"the arms `{earlier}` and `{name}` differ in nothing but the length of their gradients"
    more: dict[str, Any] = {
        "notes": tuple(
            f"phase `{phase}`: gradients of `{name}` are {factor:.6g} times those of `{earlier}`"
            for phase, factor in same.factors.items()
            if factor != 1
        ),
        "help": "to compare how far a step goes, write another lr; only eps, and max_grad_norm where it clips, see the length",
    }
    if same.is_seen:
        message = f"{length}, of which {seen_by} sees little"
        return same_arms(resolved, earlier, name, message, code=Code.NO_EFFECT, **more)
    return same_arms(resolved, earlier, name, f"{length}, which {seen_by} does not see", **more)


def _meaning(plan: Plan) -> dict[str, Any]:
    return {key: value for key, value in meaning(plan).items() if key not in ("run", "cut")}


def _around_phases(plan: Plan) -> dict[str, Any]:
    return {key: value for key, value in meaning(plan).items() if key not in NO_DIFFERENCE}


def _around(phase: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in phase.items() if key not in NO_DIFFERENCE_IN_A_PHASE}


def _is_binary(graph: Graph, phase: Phase) -> bool:
    """Whether every reward is 0 or 1: that of binary verifiers, to which nothing is added."""
    judges: list[Any] = [graph.data[name].component.verifier for name in phase.data]
    judges += [phase.verifier.component] if phase.verifier is not None else []
    return not phase.rewards and all("reward[binary]" in judge.provides() for judge in judges if judge is not None)
