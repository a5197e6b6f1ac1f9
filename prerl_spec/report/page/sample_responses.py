"""Sample responses of each outcome: from the first and the last step of each phase of a run, and from folders of `eval`."""

from collections.abc import Iterator, Sequence

from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.formatting.printable import shortened
from prerl_spec.report.formatting.scales import short
from prerl_spec.report.tables.attempts import UNVERIFIED, JournalStep, ShownAttempt, first_and_last
from prerl_spec.report.tables.evaluated import responses_of
from prerl_spec.report.tables.question_grids import asked_of, last_of_each_phase
from prerl_spec.report.tables.run_tables import RunRecord

SHOWN_CHARACTERS = 6000
SHOWN_PER_OUTCOME = 2
OUTCOMES = ("right", "wrong", "unparsable", "timeout", "error")


def samples_to_read(run: RunRecord) -> list[Html]:
    """One card per step, with the first attempts of each outcome; for a folder of `eval` one per task. Empty for a run that has
    not sampled."""
    if not run.steps:
        return list(_evaluated(run))
    phases = [(s.phase, s.first, s.last) for s in run.stretches if s.samples]
    return [_step_card(step) for step in first_and_last(run.folder, phases)]


def attempt_details(attempt: ShownAttempt, *, question: bool = True) -> list[Html]:
    """Question, response and what is known of it."""
    facts = {
        "gold": attempt.gold,
        "extracted": attempt.answer,
        "detail": attempt.detail,
        "reward": None if attempt.reward is None else short(attempt.reward),
        "sum of": attempt.sum_of,
        "length": f"{attempt.num_tokens} tokens, ended by {attempt.stop}",
    }
    pairs = [(tag("dt", k), tag("dd", v)) for k, v in facts.items() if v not in (None, "")]
    return [
        *([asked_text(attempt.question or "(no question)")] if question else []),
        tag("pre", shortened(attempt.text, SHOWN_CHARACTERS), dir="auto"),
        tag("dl", *(c for pair in pairs for c in pair), class_="facts"),
    ]


def asked_text(question: str) -> Html:
    return tag("pre", shortened(question, SHOWN_CHARACTERS), class_="asked", dir="auto")


def outcome_badge(outcome: str) -> Html:
    return tag("span", outcome, class_=f"badge v-{outcome}" if outcome in OUTCOMES else "badge")


def _evaluated(run: RunRecord) -> Iterator[Html]:
    for asked in asked_of(run, last_of_each_phase(run.scores)):
        attempts = [attempt for of_row in responses_of(asked).values() for attempt in of_row]
        if attempts:
            where = f" {asked.score.phase}, global step {asked.score.global_step}"
            title = tag("h3", asked.score.task, tag("span", where, class_="unit"))
            yield tag("article", title, *(_details(a) for a in _chosen(attempts)), class_="card samples")


def _step_card(step: JournalStep) -> Html:
    title = tag("h3", step.phase, tag("span", f" step {step.step}, global step {step.global_step}", class_="unit"))
    return tag("article", title, *(_details(a) for a in _chosen(step.attempts)), class_="card samples")


def _chosen(attempts: Sequence[ShownAttempt]) -> Iterator[ShownAttempt]:
    for outcome in (*OUTCOMES, UNVERIFIED):
        one_a_group = {a.slot: a for a in reversed(attempts) if a.outcome == outcome}
        yield from sorted(one_a_group.values(), key=lambda a: a.slot)[:SHOWN_PER_OUTCOME]


def _details(attempt: ShownAttempt) -> Html:
    question = " ".join((attempt.question or "(no question)").split())
    heading = tag("span", shortened(question, 120), class_="question")
    return tag("details", tag("summary", outcome_badge(attempt.outcome), " ", heading), *attempt_details(attempt))
