"""The scores that a spec's evaluators give, by name, as far as that is known before anything is scored."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prerl_spec.compiler.resolve.resolved import Resolved

AT_THE_END = frozenset({"phases", "end"})
"""Moments of an evaluator of which one is the end of every run."""
Scored = Mapping[str, tuple[str, ...] | None]
"""Task -> its metrics, None for those that only scoring tells."""


def scored_by(resolved: Resolved) -> Iterator[tuple[bool, Scored | None]]:
    """Of each evaluator whether it scores the end of a run, and what; None for a stranger's that does not say."""
    for number in range(len(resolved.spec.evaluate)):
        component: Any = resolved.built[f"evaluate[{number}]"].component
        says = getattr(component, "metrics_by_task", None)
        yield bool(AT_THE_END & set(component.at)), None if says is None else says()


def scored_within(resolved: Resolved, phase: int) -> Iterator[Scored | None]:
    """What those evaluators give whose scores a step of the phase can have: they score after steps of it, or the weights that
    it begins with."""
    begins = "base" if phase == 0 else "phases"
    for number, (_, scored) in enumerate(scored_by(resolved)):
        component: Any = resolved.built[f"evaluate[{number}]"].component
        if component.every != "off" or begins in component.at:
            yield scored


def gives(scored: Sequence[Scored | None], task: str, metric: str) -> bool:
    """Whether one of these evaluators gives a score, or may: a task that none names may belong to a group that one does."""
    named = [tasks[task] for tasks in scored if tasks is not None and task in tasks]
    if named:
        return any(metrics is None or metric in metrics for metrics in named)
    return any(tasks is None or None in tasks.values() for tasks in scored)


def given_scores(scored: Iterable[Scored | None]) -> tuple[str, ...]:
    """The scores that are known by name, as "task/metric", each once."""
    given = [
        f"{task}/{metric}" for tasks in scored for task, metrics in (tasks or {}).items() for metric in metrics or ()
    ]
    return tuple(dict.fromkeys(given))
