"""The audit: each alarm is raised by what it is for, and not by what it is not for."""

from dataclasses import replace
from pathlib import Path

import pytest

from prerl_spec.report.page.audit_cards import audit_cards
from prerl_spec.report.tables import audit as audits
from prerl_spec.report.tables.arms import arms_of
from prerl_spec.report.tables.attempts import JournalStep, ShownAttempt, first_and_last
from prerl_spec.report.tables.audit import audit, second_verdict
from prerl_spec.report.tables.run_tables import RunRecord, read_run
from tests.comparison import runs as made_runs
from tests.comparison.runs import Made

LENGTH, ENTROPY, SIGNAL, SECOND = range(4)


@pytest.fixture
def run(run_folder: Path) -> RunRecord:
    return read_run(run_folder)


def with_metric(run: RunRecord, metric: str, values: dict[str, tuple[float, float]]) -> RunRecord:
    """The metric of these phases from one value to another."""
    last = {s.phase: (s.first, s.last) for s in run.stretches}
    steps = []
    for step in run.steps:
        if step.phase in values:
            (first, end), (low, high) = last[step.phase], values[step.phase]
            value = low + (high - low) * (step.global_step - first) / max(1, end - first)
            step = replace(step, metrics={**step.metrics, metric: value})
        steps.append(step)
    return replace(run, steps=tuple(steps))


def test_a_healthy_run_raises_no_alarm(run: RunRecord) -> None:
    assert [finding.alarm for finding in audit(run)] == [None, False, False, False]


def test_a_record_that_never_sampled_has_no_audit(run: RunRecord) -> None:
    assert audit(replace(run, steps=tuple(s for s in run.steps if s.phase == "pretrain"))) == []


def test_an_entropy_that_falls_to_a_tenth_has_collapsed(run: RunRecord) -> None:
    fallen = audit(with_metric(run, "entropy", {"refine": (0.3, 0.01)}))[ENTROPY]
    assert fallen.alarm
    assert fallen.words.startswith("refine ends at 0.0")
    assert audit(with_metric(run, "entropy", {"refine": (0.3, 0.15)}))[ENTROPY].alarm is False


def test_a_phase_that_ends_without_signal_is_an_alarm_and_one_that_has_it_at_its_end_is_not(run: RunRecord) -> None:
    silent = audit(with_metric(run, "groups_with_signal", {"refine": (0.5, 0.0)}))[SIGNAL]
    assert silent.alarm
    assert "1 of 60 steps without any" in silent.words
    assert audit(with_metric(run, "groups_with_signal", {"prune": (0.0, 0.5)}))[SIGNAL].alarm is False


def test_steps_on_documents_are_no_steps_without_signal(run: RunRecord) -> None:
    silent = with_metric(run, "groups_with_signal", {"pretrain": (0.0, 0.0)})
    assert audit(silent)[SIGNAL] == audit(run)[SIGNAL]


def longer_and_worse(folder: Path, *, tokens: float, level: float, monkeypatch: pytest.MonkeyPatch) -> bool | None:
    results_at = made_runs.results_at

    def results(made: Made, step: int) -> list[made_runs.QuestionResult]:
        longer = round(160 * (tokens if step == 20 else 1))
        return [replace(result, tokens=longer) for result in results_at(made, step)]

    monkeypatch.setattr(made_runs, "results_at", results)
    run = read_run(made_runs.write_run(folder, Made(level=lambda step: level if step == 20 else 0.6)))
    return audit(run)[LENGTH].alarm


@pytest.mark.parametrize(
    ("tokens", "level", "alarm"), [(1.5, 0.2, True), (1.05, 0.2, False), (1.5, 0.8, False), (1.5, 0.58, False)]
)
def test_longer_and_worse_is_an_alarm_only_where_both_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: float, level: float, alarm: bool
) -> None:
    assert longer_and_worse(tmp_path / "run", tokens=tokens, level=level, monkeypatch=monkeypatch) is alarm


@pytest.mark.parametrize(
    ("answer", "gold", "outcome", "equal"),
    [
        ("92", "92", "right", True),
        ("1,024", "1024.0", "wrong", True),
        ("7/2", "3.5", "wrong", True),
        ("82", "92", "right", False),
        ("x + 1", "92", "wrong", None),
        (None, "92", "wrong", None),
        ("92", "92", "unparsable", None),
        ("1/0", "92", "wrong", None),
        ("1e999999", "92", "wrong", None),
    ],
)
def test_the_second_verdict_reads_plain_numbers_only(
    answer: str | None, gold: str, outcome: str, equal: bool | None
) -> None:
    attempt = ShownAttempt(0, 0, "?", gold, "", "eos", 1, outcome=outcome, answer=answer)
    assert second_verdict(attempt) is equal


@pytest.mark.parametrize(("num_wrong", "alarm"), [(0, False), (2, False), (3, True)])
def test_verdicts_that_a_second_reading_contradicts_are_an_alarm(
    run: RunRecord, monkeypatch: pytest.MonkeyPatch, num_wrong: int, alarm: bool
) -> None:
    def misjudged(folder: Path, phases: list[tuple[str, int, int]]) -> list[JournalStep]:
        steps = first_and_last(folder, phases)
        attempts = list(steps[0].attempts)
        for place in [n for n, a in enumerate(attempts) if a.outcome == "right"][:num_wrong]:
            attempts[place] = replace(attempts[place], outcome="wrong")
        return [replace(steps[0], attempts=tuple(attempts)), *steps[1:]]

    monkeypatch.setattr(audits, "first_and_last", misjudged)
    finding = audit(run)[SECOND]
    assert finding.alarm is alarm
    assert finding.words.startswith(f"{num_wrong} of 24 verdicts about plain numbers")
    assert finding.words.endswith("; 92 for 92 was wrong") is (num_wrong > 0)


def test_the_card_of_several_seeds_says_how_many_raised_an_alarm(tmp_path: Path) -> None:
    runs = [
        with_metric(
            read_run(made_runs.write_run(tmp_path / str(seed), Made(seed=seed))), "entropy", {"refine": (0.4, end)}
        )
        for seed, end in ((0, 0.4), (1, 0.01), (2, 0.4))
    ]
    (card,) = audit_cards(arms_of(runs))
    assert "alarm in 1 of 3" in card
    assert "seed 1: refine ends at " in card
