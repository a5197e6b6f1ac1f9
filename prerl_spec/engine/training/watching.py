"""The probes that look at a step's updates: each is called before the first and after the last of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prerl_spec.compiler.graph import Named
from prerl_spec.engine.author_faults import blames, defined_at
from prerl_spec.engine.policy.batch_logprobs import batch_logprobs
from prerl_spec.engine.training.gradient import gradient_of, require_models
from prerl_spec.engine.training.gradient_free_logprobs import GradientFree
from prerl_spec.engine.training.trainer import Trainer
from prerl_spec.errors import RunFailed
from prerl_spec.needs import Need
from prerl_spec.registry.component_state import States, initial_states
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.watching import GradientView, Probe, UpdateProbe
from prerl_spec.types import Array, Step

COUNTED_AS = "watch"
"""The label of forwards without gradient in `Policy.forwards`, as the plan has it."""


@dataclass(frozen=True)
class Site:
    """Implements `registry.kinds.ProbeSite` over the trainer of a phase."""

    step: Step
    trainer: Trainer
    states: States | None = None
    """Of the components of the phase's objective before this step; None at a phase's start."""

    @property
    def objective(self) -> Objective:
        return self.trainer.objective

    def gradient(self, objective: Objective, samples: Sequence[int] | None = None) -> GradientView:
        its_own = self.states if objective == self.objective else None
        states = initial_states(objective) if its_own is None else its_own
        return gradient_of(self.trainer, objective, self.step, samples, states)

    def log_probs(self, need: Need, samples: Sequence[int]) -> Array:
        trainer = self.trainer
        if need.of == "policy":
            (found_N,) = batch_logprobs(
                self.step,
                list(samples),
                [need],
                trainer.policy,
                trainer.ranks,
                tokens_per_pass=trainer.tokens_per_pass,
                of=COUNTED_AS,
            )
            return np.where(np.isin(self.step.tokens.sample_N, list(samples)), found_N, np.nan)
        if need.of == "old":
            raise RunFailed(
                "a probe asks for `old` log-probabilities: a site answers for the weights as they are",
                hint="ask for those of the `policy` in `before`",
            )
        require_models(trainer, [need], f"log-probabilities of the view `{need.view.name}`")
        vectors = GradientFree(
            self.step, trainer.policy, trainer.ranks, trainer.reference, trainer.tokens_per_pass, trainer.teachers
        )
        vectors.compute({need: samples})
        return vectors.read([need], range(len(self.step.samples)))[need]


class Watching:
    """One step's probes between its two hooks: `begin`, the updates, `end`."""

    def __init__(self, begun: Sequence[tuple[Named[Probe], UpdateProbe, Any]], site: Site) -> None:
        self._begun = begun
        self._site = site

    @classmethod
    def begin(
        cls, probes: Iterable[Named[Probe]], step: Step, trainer: Trainer, states: States | None = None
    ) -> "Watching":
        """Calls `before` of each probe that is due at this step. A step without samples is not watched."""
        site = Site(step, trainer, states)
        begun: list[tuple[Named[Probe], UpdateProbe, Any]] = []
        for named in probes:
            probe = named.component
            if isinstance(probe, UpdateProbe) and step.step % probe.every == 0 and step.samples:
                with blames(probe, "before", name=named.use):
                    begun.append((named, probe, probe.before(site)))
        return cls(begun, site)

    def end(self) -> dict[str, float]:
        """Calls `after` of each, and returns their metrics."""
        metrics: dict[str, float] = {}
        for named, probe, state in self._begun:
            with blames(probe, "after", name=named.use):
                metrics |= finite_metrics(named, "after", probe.after(self._site, state))
        return metrics


def finite_metrics(named: Named[Probe], method: str, found: Mapping[str, Any]) -> dict[str, float]:
    """What a probe's method has returned, as floats. Raises RunFailed with the probe and the metric for one that is not
    finite: a record has no place for it, and a metric must not be gone without a word."""
    metrics = {name: float(value) for name, value in found.items()}
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise RunFailed(
                f"the probe `{named.use}` gives {name} = {value} in `{method}`",
                hint=f"`{method}` ({defined_at(named.component, method)}) must return finite numbers, and leave out a metric "
                "that has no value; the step was not taken",
            )
    return metrics
