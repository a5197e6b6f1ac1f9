"""Previews a verifier, reward, filter or probe on one stored batch, as ASCII lines for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from prerl_spec.registry.kinds.judging import Filter, Reward, Verifier
from prerl_spec.registry.kinds.watching import Probe, UpdateProbe
from prerl_spec.report.formatting.printable import ascii_only
from prerl_spec.types import Attempt, Group, Outcome, Step, Verdict

SHOWN_ATTEMPTS = 8
SHOWN_GROUPS = 8
MAX_CHARACTERS = 60


def preview(kind: str, component: Any, step: Step, baseline: Verifier) -> Iterator[str]:
    """The preview of a component of this kind; empty for other kinds. `baseline` is the verifier to compare with."""
    if kind == "verifier":
        yield from verdicts(step, baseline)
    elif kind == "reward":
        yield from reward_terms(step, component)
    elif kind == "filter":
        yield from kept_groups(step, component)
    elif kind == "probe":
        yield from measured(step, component)


def verdicts(step: Step, baseline: Verifier) -> Iterator[str]:
    """Counts of each outcome, and the attempts on which the verifiers differ; the batch has the tried one's verdicts."""
    judged = [
        (g, a, a.verdict, _judge(baseline, a, g)) for g in step.groups for a in g.attempts if a.verdict is not None
    ]
    for outcome in Outcome:
        mine = sum(v.outcome is outcome for _, _, v, _ in judged)
        theirs = sum(v.outcome is outcome for _, _, _, v in judged)
        if mine or theirs:
            yield f"  {outcome.value:<11} {mine:>4}   math_verify {theirs:>4}"
    different = [one for one in judged if one[2].outcome is not one[3].outcome]
    yield f"the verdicts differ on {len(different)} of {len(judged)} attempts" + (":" if different else "")
    for group, attempt, mine_, theirs_ in different[:SHOWN_ATTEMPTS]:
        yield f"  {mine_.outcome.value}, math_verify {theirs_.outcome.value}: gold {group.prompt.gold}, {_short(attempt)}"


def reward_terms(step: Step, reward: Reward) -> Iterator[str]:
    """The term of the first attempts, and in how many groups it varies: a term that is constant within a group cancels
    out of every group baseline."""
    scored = [[(a, reward.reward(a, g)) for a in g.attempts if a.reward is not None] for g in step.groups]
    for attempt, term in [one for group in scored for one in group][:SHOWN_ATTEMPTS]:
        verdict = attempt.verdict
        yield f"  {term:>9.3f}  {verdict.outcome.value if verdict is not None else '':<11} {_short(attempt)}"
    terms = [term for group in scored for _, term in group]
    if terms:
        num_varying = sum(len({term for _, term in group}) > 1 for group in scored)
        yield (
            f"from {min(terms):.3g} to {max(terms):.3g}, mean {sum(terms) / len(terms):.3g}; "
            f"it varies within {num_varying} of {len(scored)} groups"
        )


def kept_groups(step: Step, selection: Filter) -> Iterator[str]:
    """Which groups are kept: those of the step and those that a filter discarded."""
    groups = [*step.groups, *step.discarded]
    for group in groups[:SHOWN_GROUPS]:
        counts = [sum(a.verdict is not None and a.verdict.outcome is o for a in group.attempts) for o in Outcome]
        found = ", ".join(f"{n} {o.value}" for n, o in zip(counts, Outcome, strict=True) if n)
        yield f"  {'kept' if selection.keep(group) else 'dropped':<8} {found}"
    yield f"{sum(selection.keep(g) for g in groups)} of {len(groups)} groups are kept"


def measured(step: Step, probe: Probe) -> Iterator[str]:
    """The probe's metrics of the batch."""
    metrics: Mapping[str, float] = probe.measure(step)
    yield from (f"  {name} {value:.4g}" for name, value in metrics.items())
    if not metrics and isinstance(probe, UpdateProbe):
        yield "  no metrics of a batch alone: it looks at the updates, and events.jsonl of a run has what it finds"
    elif not metrics:
        yield "  no metrics for this batch"


def _judge(verifier: Verifier, attempt: Attempt, group: Group) -> Verdict:
    if attempt.stop == "length":
        return Verdict(Outcome.UNPARSABLE, 0.0)
    return verifier.judge(attempt.text, group.prompt.gold or "")


def _short(attempt: Attempt) -> str:
    text = ascii_only(attempt.text.replace("\n", "\\n"))
    return text if len(text) <= MAX_CHARACTERS else f"... {text[-MAX_CHARACTERS:]}"
