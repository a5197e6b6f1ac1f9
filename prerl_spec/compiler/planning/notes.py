"""Notes on surprising consequences of a plan, one sentence each."""

from collections.abc import Iterator
from typing import Any

from prerl_spec.compiler.plan import ComponentPlan, PhasePlan


def phase_notes(phase: PhasePlan, following: PhasePlan | None) -> Iterator[str]:
    """Notes on one phase and its hand-over."""
    if phase.example is not None and phase.example.template == "no chat template":
        yield "the tokenizer has no chat template: the model sees the bare question (or the row's template)"
    if phase.dropped_rows:
        yield f"the last {phase.dropped_rows} rows of an epoch fill no batch and are dropped; each epoch is reshuffled"
    if phase.uses_rollouts and phase.updates_per_batch == 1 and _bounds_ratios(phase.objective):
        yield "one update per batch: the ratio to the old policy is 1, so clipping has no effect"
    terms = frozenset(_uses(phase.objective))
    yield from _unlike(phase.objective, terms, off_policy=phase.updates_per_batch > 1)
    if following is not None and phase.carry_optimizer:
        yield from _carried_moments(phase, following)


def _bounds_ratios(objective: ComponentPlan) -> bool:
    """Whether it, or a component in its slots, puts a bound on the ratio to the old policy."""
    return bool(objective.ratio_settings) or any(map(_bounds_ratios, objective.inner))


def _uses(component: ComponentPlan) -> Iterator[str]:
    yield component.use
    for inner in component.inner:
        yield from _uses(inner)


def _unlike(component: ComponentPlan, terms: frozenset[str], *, off_policy: bool) -> Iterator[str]:
    """One sentence a component on where its defaults differ from elsewhere, as far as they can act. A lack of `kl` is not
    told where `kl` is one of the terms."""
    idle = terms if off_policy else terms.union(component.ratio_settings)
    if words := [said for setting, said in component.unlike.items() if setting not in idle]:
        yield f"{component.use}: {'; '.join(words)}"
    for inner in component.inner:
        yield from _unlike(inner, terms, off_policy=off_policy)


def _carried_moments(phase: PhasePlan, following: PhasePlan) -> Iterator[str]:
    """Adam's second moment retains the old gradient scale for about 1/(1 - beta2) updates."""
    before, after = (_coefficient(p.objective.settings) for p in (phase, following))
    if before is None or after is None or before == after or "betas" not in phase.optimizer.settings:
        return
    yield (
        f"moments carry into `{following.id}` while the coefficient goes from {before:g} to {after:g}: its first updates are "
        + (
            "1.6 to 1.9 times their later size (measured from 0.01 to 1)"
            if after > before
            else "smaller than later ones"
        )
    )


def _coefficient(settings: Any) -> float | None:
    value = settings.get("coefficient")
    return float(value) if isinstance(value, int | float) else None
