"""What a run folder says, read back: resumes, torn lines, seconds, and scores that must state how they were made."""

from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from prerl_spec.errors import Damaged, RunFailed, UsageError
from prerl_spec.report.page.page import write_report
from prerl_spec.report.tables.run_tables import Stretch, read_run
from prerl_spec.storage.chained_lines import append_lines, read_lines
from prerl_spec.types import Score
from tests.report.runs import score
from tests.run_files import score_again


def append(folder: Path, *events: dict[str, object]) -> None:
    file = folder / "events.jsonl"
    append_lines(file, events, read_lines(file).head)


def a_step(global_step: int, reward: float) -> dict[str, object]:
    return {
        "event": "step",
        "phase": "refine",
        "step": global_step - 75,
        "global_step": global_step,
        "updates": 1,
        "applied": 0,
        "metrics": {"reward_mean": reward, "entropy": float("nan")},
        "tokens": {"generated": 10, "trained": 8},
        "seconds": {"sample": 1.0, "verify": 0.5, "train": 2.0, "total": 4.0},
    }


def test_the_phases_stand_where_they_ran(run_folder: Path) -> None:
    assert read_run(run_folder).stretches == (
        Stretch("pretrain", 1, 60, samples=False),
        Stretch("prune", 61, 75, samples=True),
        Stretch("refine", 76, 120, samples=True),
    )


def test_steps_lost_before_a_resume_are_not_in_the_curves_and_the_later_line_wins(run_folder: Path) -> None:
    append(run_folder, {"event": "resume", "global_step": 100, "from_checkpoint": "step-000100"}, a_step(101, 0.99))
    run = read_run(run_folder)
    assert run.steps[-1].global_step == 101
    assert run.steps[-1].metrics["reward_mean"] == 0.99
    assert (run.num_resumes, run.ended) == (1, False)


def test_lost_steps_still_count_in_the_seconds(run_folder: Path) -> None:
    before = {s.phase: s for s in read_run(run_folder).seconds}["refine"]
    append(run_folder, {"event": "resume", "global_step": 100}, a_step(101, 0.5))
    after = {s.phase: s for s in read_run(run_folder).seconds}["refine"]
    assert (after.sample - before.sample, after.train - before.train) == pytest.approx((1.0, 2.0))
    assert after.other - before.other == pytest.approx(0.5)
    assert after.total - before.total == pytest.approx(4.0)


def test_a_torn_last_line_is_left_out(run_folder: Path) -> None:
    with (run_folder / "events.jsonl").open("a") as file:
        file.write('{"event": "step", "phase": "ref')
    assert len(read_run(run_folder).steps) == 120


def test_a_changed_value_in_the_middle_is_named(run_folder: Path) -> None:
    file = run_folder / "events.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[40] = lines[40].replace(b'"applied": 1', b'"applied": 0')
    file.write_bytes(b"".join(lines))
    with pytest.raises(Damaged, match=r"events\.jsonl:41: the line is damaged: it fails its checksum"):
        read_run(run_folder)


def test_a_step_taken_again_to_the_same_result_is_in_the_curves_and_its_seconds_count(run_folder: Path) -> None:
    before = read_run(run_folder)
    seconds = {"sample": 1.0, "verify": 0.5, "train": 2.0, "total": 4.0}
    resume: dict[str, object] = {"event": "resume", "global_step": 100}
    append(run_folder, resume, {"event": "repeat", "global_step": 101, "seconds": seconds})
    after = read_run(run_folder)
    assert after.steps == before.steps[:101]
    spent = {s.phase: s.total for s in after.seconds}["refine"] - {s.phase: s.total for s in before.seconds}["refine"]
    assert spent == pytest.approx(4.0)


def test_values_that_are_not_finite_do_not_reach_a_curve(run_folder: Path) -> None:
    append(run_folder, a_step(121, 0.5))
    assert read_run(run_folder).steps[-1].metrics == {"reward_mean": 0.5}


def test_a_folder_without_events_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run folder"):
        read_run(tmp_path)


def test_a_study_is_shown_by_compare(tmp_path: Path) -> None:
    (tmp_path / "study.json").touch()
    with pytest.raises(UsageError, match="is a study, and a report is of runs") as caught:
        write_report([tmp_path])
    assert str(caught.value.hint).startswith(f"prerl-spec compare {tmp_path}")


@pytest.mark.parametrize("name", [f.name for f in fields(Score) if f.default is MISSING])
@pytest.mark.parametrize("nothing", ["absent", None, "", float("nan")])
def test_a_score_that_leaves_something_out_is_not_rendered(run_folder: Path, name: str, nothing: object) -> None:
    row = score("refine", 120, "math500_boxed", "avg@16", 0.5, 10, 10)
    row[name] = nothing
    if nothing == "absent":
        del row[name]
    score_again(run_folder, [row])
    with pytest.raises(RunFailed, match=rf"scores\.json\[0\]: a score must include {name}"):
        write_report([run_folder])
    assert not (run_folder / "report.html").exists()


def test_a_score_without_an_interval_has_a_dash(run_folder: Path) -> None:
    row = score("refine", 120, "translating", "bleu,none", 12.5, 10, 10)
    score_again(run_folder, [{**row, "low": None, "high": None, "interval": "none"}])
    write_report([run_folder])
    assert "12.500 -<" in (run_folder / "report.html").read_text(encoding="utf-8")


def test_a_score_before_any_token_is_complete(run_folder: Path) -> None:
    score_again(run_folder, [score("base", 0, "math500_boxed", "avg@1", 0.0, 0, 0)])
    assert read_run(run_folder).scores[0].generated_tokens == 0
