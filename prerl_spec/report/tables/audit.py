"""An audit of what a run has recorded: four ways in which a reward rises and the model does not get better.

It looks back. Nothing is stopped or warned of while a run goes on, and a threshold is a place to look, not a proof.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean

from prerl_spec.report.formatting.scales import short
from prerl_spec.report.tables.attempts import ShownAttempt, first_and_last
from prerl_spec.report.tables.intervals import MISSING, has_intervals, of_pairs
from prerl_spec.report.tables.question_grids import Asked, asked_of, conditions_of
from prerl_spec.report.tables.run_tables import RunRecord
from prerl_spec.types import Score

LONGER = 1.1
"""Times the earlier length of held-out responses, from which they count as longer."""
COLLAPSED = 0.2
"""Times the entropy of the first sampled steps, below which it has collapsed."""
SILENT = 0.1
"""Share of groups with signal below which a phase has next to nothing to learn from."""
WINDOW = 5
"""Steps that a level is the mean of: one step is noise."""
MIN_DISAGREEMENTS = 3
MAX_DISAGREEMENT = 0.01
"""Of the verdicts that a second check can read."""


@dataclass(frozen=True)
class Finding:
    """What one check has found: `Finding("entropy", True, "refine: 0.05 of 0.38 nats at the start")`; `alarm` is None where
    nothing was recorded that it could look at."""

    check: str
    alarm: bool | None
    words: str


def audit(run: RunRecord) -> list[Finding]:
    """The findings of all checks, in a fixed order; none for a record without sampled steps. Raises Damaged."""
    if not any(stretch.samples for stretch in run.stretches):
        return []
    checks: tuple[Callable[[RunRecord], Finding], ...] = (
        _longer_and_worse,
        _entropy_collapse,
        _no_signal,
        _second_verifier,
    )
    return [check(run) for check in checks]


def _longer_and_worse(run: RunRecord) -> Finding:
    """Held-out responses that are longer at the last place than at the best one, and right less often by more than the paired
    interval over questions."""
    check = "length rises while held-out accuracy falls"
    found = list(_best_and_last(run))
    if not found:
        return Finding(check, None, "no held-out task was sampled at two places")
    if not has_intervals():
        return Finding(check, None, f"the interval {MISSING}")
    alarms = [words for best, last in found if (words := _fell(best, last)) is not None]
    lengths = (
        f"{last.score.task} {short(best.mean_length or 0)} → {short(last.mean_length or 0)} tokens since its best place"
        for best, last in found
    )
    return Finding(check, bool(alarms), "; ".join(alarms or lengths))


def _best_and_last(run: RunRecord) -> Iterator[tuple[Asked, Asked]]:
    """For each task and condition with responses at two places: the earlier place with the highest avg@k, and the last."""
    places: dict[str, list[Score]] = {}
    for score in run.scores:
        if score.metric.startswith("avg@"):
            places.setdefault(conditions_of(score), []).append(score)
    for scores in places.values():
        *earlier, last = sorted(scores, key=lambda score: score.global_step)
        if earlier:
            # Of equals the last: the responses whose length is compared are then the nearest ones.
            best = max(earlier, key=lambda score: (score.value, score.global_step))
            asked = asked_of(run, [best, last])
            if len(asked) == 2 and all(one.mean_length is not None for one in asked):
                yield asked[0], asked[1]


def _fell(best: Asked, last: Asked) -> str | None:
    first, second = best.shares(), last.shares()
    both = [question for question in first if question in second]
    before, after = best.mean_length, last.mean_length
    if not both or not before or after is None or after < LONGER * before:
        return None
    shares = ([first[q] for q in both], [second[q] for q in both])
    difference = of_pairs(*shares, last.score.samples_per_question)
    if difference is None or difference.high >= 0:
        return None
    return (
        f"{last.score.task}: {difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}] since its best place, "
        f"step {best.score.global_step}, and responses {short(before)} → {short(after)} tokens long"
    )


def _entropy_collapse(run: RunRecord) -> Finding:
    check = "entropy collapses"
    levels = list(_levels(run, "entropy"))
    if not levels:
        return Finding(check, None, "entropy was not recorded")
    start = levels[0][1]
    fallen = [(phase, last) for phase, _, last in levels if last < COLLAPSED * start]
    shown = fallen or [(levels[-1][0], levels[-1][2])]
    words = "; ".join(
        f"{phase} ends at {short(last)} of {short(start)} nats per token at the start" for phase, last in shown
    )
    return Finding(check, bool(fallen), words)


def _no_signal(run: RunRecord) -> Finding:
    check = "no signal in the groups"
    levels = list(_levels(run, "groups_with_signal"))
    if not levels:
        return Finding(check, None, "groups with signal were not recorded")
    silent = [(phase, last) for phase, _, last in levels if last < SILENT]
    steps = [value for phase in _sampled(run) for value in _values(run, phase, "groups_with_signal")]
    without = sum(share == 0 for share in steps)
    words = "; ".join(
        f"{phase} ends with {last:.0%} of groups" for phase, last in silent or [(levels[-1][0], levels[-1][2])]
    )
    return Finding(check, bool(silent), f"{words}; {without} of {len(steps)} steps without any")


def _second_verifier(run: RunRecord) -> Finding:
    """Another reading of the same answers: where the extracted answer and the gold one are both plain numbers, whether they
    are equal as fractions, against the verdict. It shares no code with the verifiers."""
    check = "a second verifier disagrees"
    phases = [(s.phase, s.first, s.last) for s in run.stretches if s.samples]
    attempts = [a for step in first_and_last(run.folder, phases) for a in step.attempts]
    judged = [(attempt, verdict) for attempt in attempts if (verdict := second_verdict(attempt)) is not None]
    if not judged:
        return Finding(check, None, "no verdict of the first and last steps is about plain numbers")
    other = [attempt for attempt, verdict in judged if verdict != (attempt.outcome == "right")]
    alarm = len(other) >= MIN_DISAGREEMENTS and len(other) > MAX_DISAGREEMENT * len(judged)
    example = f"; {other[0].answer} for {other[0].gold} was {other[0].outcome}" if other else ""
    words = f"{len(other)} of {len(judged)} verdicts about plain numbers, in the first and last steps of each phase"
    return Finding(check, alarm, words + example)


def second_verdict(attempt: ShownAttempt) -> bool | None:
    """Whether answer and gold are the same number; None where either is no plain number (`12`, `-3.50`, `7/2`, `1,024`), or
    the verdict is neither right nor wrong."""
    if attempt.outcome not in ("right", "wrong"):
        return None
    answer, gold = _number(attempt.answer), _number(attempt.gold)
    return None if answer is None or gold is None else answer == gold


def _number(text: str | None) -> Fraction | None:
    plain = (text or "").strip().strip("$").replace(",", "")
    try:
        return Fraction(plain) if len(plain) <= 40 and plain.isascii() and "e" not in plain.lower() else None
    except (ValueError, ZeroDivisionError):
        return None


def _levels(run: RunRecord, metric: str) -> Iterator[tuple[str, float, float]]:
    """For each phase that sampled and recorded the metric: its mean over the phase's first and last steps."""
    for phase in _sampled(run):
        if values := _values(run, phase, metric):
            yield phase, fmean(values[:WINDOW]), fmean(values[-WINDOW:])


def _sampled(run: RunRecord) -> list[str]:
    # A phase on documents records the same metrics, of no attempts.
    return list(dict.fromkeys(stretch.phase for stretch in run.stretches if stretch.samples))


def _values(run: RunRecord, phase: str, metric: str) -> list[float]:
    return [s.metrics[metric] for s in run.steps if s.phase == phase and metric in s.metrics]
