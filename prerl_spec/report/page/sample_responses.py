"""Sample responses of each outcome, from the first and the last step of each phase."""

from collections.abc import Iterator

from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.formatting.printable import shortened
from prerl_spec.report.formatting.scales import short
from prerl_spec.report.tables.attempts import JournalStep, ShownAttempt, first_and_last
from prerl_spec.report.tables.run_tables import RunRecord

SHOWN_CHARACTERS = 6000
SHOWN_PER_OUTCOME = 2
OUTCOMES = ("right", "wrong", "unparsable", "timeout", "error")


def samples_to_read(run: RunRecord) -> list[Html]:
    """One card per step, with the first attempts of each outcome; empty for a run that has not sampled."""
    phases = [(s.phase, s.first, s.last) for s in run.stretches if s.samples]
    return [_step_card(step) for step in first_and_last(run.folder, phases)]


def _step_card(step: JournalStep) -> Html:
    title = tag("h3", step.phase, tag("span", f" step {step.step}, global step {step.global_step}", class_="unit"))
    return tag("article", title, *(_details(a) for a in _chosen(step)), class_="card samples")


def _chosen(step: JournalStep) -> Iterator[ShownAttempt]:
    for outcome in OUTCOMES:
        attempts = step.with_outcome(outcome)
        one_a_group = {a.slot: a for a in reversed(attempts)}
        yield from sorted(one_a_group.values(), key=lambda a: a.slot)[:SHOWN_PER_OUTCOME]


def _details(attempt: ShownAttempt) -> Html:
    question = shortened(attempt.question or "(no question)", SHOWN_CHARACTERS)
    badge = tag(
        "span", attempt.outcome, class_=f"badge v-{attempt.outcome}" if attempt.outcome in OUTCOMES else "badge"
    )
    facts = {
        "gold": attempt.gold,
        "extracted": attempt.answer,
        "detail": attempt.detail,
        "reward": None if attempt.reward is None else short(attempt.reward),
        "sum of": attempt.sum_of,
        "length": f"{attempt.num_tokens} tokens, ended by {attempt.stop}",
    }
    pairs = [(tag("dt", k), tag("dd", v)) for k, v in facts.items() if v not in (None, "")]
    return tag(
        "details",
        tag("summary", badge, " ", tag("span", shortened(" ".join(question.split()), 120), class_="question")),
        tag("pre", question, class_="asked", dir="auto"),
        tag("pre", shortened(attempt.text, SHOWN_CHARACTERS), dir="auto"),
        tag("dl", *(c for pair in pairs for c in pair), class_="facts"),
        open=False,
    )
