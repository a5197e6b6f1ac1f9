"""docs/evidence.md: the pre-registered rule in its corners, the page against the kept studies, and these against the specs."""

import sys
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prerl_spec.compiler.compare.seeds import source_of
from prerl_spec.compiler.compile import read_plan
from prerl_spec.compiler.planning.digest import digest_of_plan
from prerl_spec.report.tables.run_tables import RunRecord
from prerl_spec.statistics.intervals import Interval
from prerl_spec.study.compile_study import compile_study
from tests.comparison.runs import Made, write_run, write_study

sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))
import write_evidence
from evidence_figure import Panel, Place, figure
from evidence_records import Cell, Records
from evidence_seconds import EqualSeconds

ROOT = Path(__file__).parent.parent
SPEC = Path("specs/paper/core-question.toml")
SECOND_BASE = ("run.name=core-question-1", "start.from=chains-base-1@pretrain")
GIVEN_SINCE: Mapping[str, Any] = {"k": None, "protocol": "off"}
"""Settings of `lm_eval` that the runs' version did not have, at the values that mean what it did."""


@pytest.mark.parametrize(
    ("points", "p", "signs", "said"),
    [
        ((1.0, 0.2, 1.8), 0.01, [1, 1, 1], "helps; no relevant difference"),
        ((3.0, 1.0, 5.0), 0.01, [1, 1, 1], "helps"),
        ((3.0, 2.1, 3.9), 0.01, [1, 1, 1], "helps by more than the margin"),
        ((-3.0, -3.9, -2.1), 0.01, [-1, -1, -1], "hurts by more than the margin"),
        ((-3.0, -3.9, -1.9), 0.01, [-1, -1, -1], "hurts"),
        ((3.0, 2.1, 3.9), 0.01, [1, -1, 1], "undecided: not so at equal updates"),
        ((3.0, 2.1, 3.9), 0.01, [1, 0, None], "undecided: not so at equal updates, not known at equal seconds"),
        ((3.0, 2.1, 3.9), 0.06, [1, 1, 1], "undecided"),
        ((0.1, -1.0, 1.2), 0.80, [1, 1, 1], "no relevant difference"),
        ((0.1, -1.0, 2.2), 0.80, [1, 1, 1], "undecided"),
    ],
)
def test_the_rule_that_was_written_down_before_the_runs(
    points: tuple[float, float, float], p: float, signs: list[int | None], said: str
) -> None:
    axes = dict(zip(("generated tokens", "updates", "seconds"), signs, strict=True))
    assert write_evidence.decision(Interval(*(value / 100 for value in points)), p, axes) == said


@pytest.mark.parametrize(
    ("name", "sets"), [("core-question-first", ()), ("core-question", ()), ("core-question-1", SECOND_BASE)]
)
def test_the_kept_plans_are_what_the_committed_specs_compile_to(
    name: str, sets: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every arm at the first two seeds: but for where it starts, and what its grpo has generated, which only runs know."""
    monkeypatch.chdir(ROOT)
    study = compile_study(SPEC, sets=(*sets, "study.seeds=[0, 1]"))
    plans = {f"{name}/cells/{cell.arm}/seed-{cell.seed}/plan.json": cell for cell in study.cells}
    with tarfile.open(write_evidence.FOLDER / f"{name}.tar.xz") as archive:
        for entry in archive:
            if entry.name == f"{name}/spec.toml" or entry.name in plans:
                archive.extract(entry, tmp_path, filter="data")
    assert (tmp_path / name / "spec.toml").read_bytes() == SPEC.read_bytes()
    for place, cell in plans.items():
        kept = read_plan(tmp_path / place)
        assert kept.digest == digest_of_plan(kept)
        lm_eval, curve = cell.plan.evaluators
        settings = dict(lm_eval.component.settings)
        assert {key: settings.pop(key) for key in GIVEN_SINCE} == GIVEN_SINCE
        then = (replace(lm_eval, component=replace(lm_eval.component, settings=settings)), curve)
        compiled = replace(cell.plan, start=kept.start, cut=kept.cut, evaluators=then)
        assert digest_of_plan(compiled) == kept.digest, place


def test_a_study_is_kept_with_the_run_that_it_was_started_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes each time; taken elsewhere, where the base is not, the cells find it among the shared runs."""
    monkeypatch.setattr(write_evidence, "FOLDER", tmp_path)
    base = write_run(tmp_path / "base", Made(arm=7.0, steps=4))
    study = write_study(tmp_path / "study", {"grpo": Made(start=base), "dsrl": Made(arm=2.0, start=base)}, [0])
    (study / "spec.toml").write_text("", encoding="utf-8")
    write_evidence.keep(study, "kept")
    packed = (tmp_path / "kept.tar.xz").read_bytes()
    write_evidence.keep(study, "kept")
    assert (tmp_path / "kept.tar.xz").read_bytes() == packed
    base.rename(tmp_path / "gone")
    with tarfile.open(tmp_path / "kept.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    cell = tmp_path / "kept" / "cells" / "dsrl" / "seed-0"
    found = source_of(cell, read_plan(cell / "plan.json"))
    assert found == tmp_path / "kept" / "shared" / "base"
    assert (found / "events.jsonl").read_bytes() == (tmp_path / "gone" / "events.jsonl").read_bytes()


def test_a_cell_that_is_not_cut_at_its_budget_is_refused() -> None:
    records = Records(Path("kept"), {"dsrl": {0: cell([70, 40], reached=110, budget=100)}}, ())
    assert records.most_beyond_budget() == pytest.approx(0.1)
    for reached, budget in ((110, 111), (110, 70), (109, 100)):
        changed = Records(Path("kept"), {"dsrl": {0: cell([70, 40], reached=reached, budget=budget)}}, ())
        with pytest.raises(ValueError, match="not cut at its budget"):
            changed.most_beyond_budget()


def test_a_null_arm_is_the_baseline_after_its_warm_up() -> None:
    grpo, null = cell([1, 1, 1], weights="abc"), cell([1, 1, 1, 1], weights="00ab")
    other = cell([1, 1, 1, 1], weights="00ax")
    records = Records(Path("kept"), {"grpo": {0: grpo, 1: grpo}, "null": {0: null, 1: other}}, ())
    assert records.same_steps("null", "grpo", 2) == 1
    assert records.same_steps("null", "grpo", 0) == 0


def test_equal_seconds_are_told_of_the_pairs_that_are_known_and_of_all() -> None:
    """Arms end after 10 s at .5; the others are read there between scores 2 s apart, .4, and 4 s apart, .6."""
    arm = timed([(5.0, 0.1), (10.0, 0.5)])
    near, far = timed([(9.0, 0.3), (11.0, 0.5), (20.0, 0.9)]), timed([(8.0, 0.5), (12.0, 0.7), (20.0, 0.9)])
    read = EqualSeconds.of({0: arm, 1: arm}, {0: near, 1: far}, "curve/avg@2")
    assert read.known == pytest.approx([0.1])
    assert read.all == pytest.approx([0.1, -0.1])
    with pytest.raises(ValueError, match="no score on both sides of an end in 1 pairs"):
        EqualSeconds.of({0: arm}, {0: timed([(15.0, 0.3), (20.0, 0.9)])}, "curve/avg@2")


def test_the_figure_has_a_line_and_a_band_for_each_arm_of_each_panel() -> None:
    curve = [Place(100.0, 0.2, 0.1, 0.3), Place(200.0, 0.5, 0.4, 0.6)]
    drawn = figure([Panel(title, {"grpo": curve, "b": curve, "c": curve, "d": curve}) for title in ("one", "<two>")])
    assert (drawn.count('stroke-width="2"'), drawn.count('opacity="0.15"')) == (4 + 8, 8)
    assert "&lt;two&gt;" in drawn
    assert "one: grpo ends at 0.500" in drawn


def test_the_page_and_its_figure_are_small_and_belong_together() -> None:
    page, drawn = write_evidence.PAGE.read_text(encoding="utf-8"), write_evidence.FIGURE.read_text(encoding="utf-8")
    assert "(figures/evidence.svg)" in page
    assert len(drawn) < 40_000
    for study in write_evidence.STUDIES:
        assert f"evidence/{study.name}.tar.xz" in page
        assert study.what in drawn


@pytest.mark.slow
def test_the_page_follows_from_the_kept_studies_byte_for_byte() -> None:
    for file, text in write_evidence.written().items():
        assert file.read_text(encoding="utf-8") == text, file


def timed(curve: list[tuple[float, float]]) -> Any:
    """What is read of a cell at equal seconds."""
    return SimpleNamespace(over_seconds=lambda task, metric: curve, steps=[{"seconds": {"total": 1.0}}])


def cell(tokens: list[int], reached: int = 0, budget: int = 0, weights: str = "") -> Cell:
    """A cell of these steps, cut where it says, without a record."""
    steps = [
        {
            "event": "step",
            "tokens": {"generated": generated, "trained": 0},
            "applied": 1,
            "seconds": {"total": 1.0},
            "hashes": {"weights": weights[place : place + 1]},
        }
        for place, generated in enumerate(tokens)
    ]
    cut = {"event": "cut", "reached": reached, "budget": budget}
    record = RunRecord(folder=Path("dsrl"), name="", steps=(), scores=(), seconds=())
    return Cell(record, [*steps, cut])
