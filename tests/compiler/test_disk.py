"""The disk of a whole run: what `plan` says of it, and when a run is refused for want of it."""

import json
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from prerl_spec.cli import main as cli
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.estimates.disk_bytes import EVALUATED_BYTES, RESPONSE_BYTES, journal_step_bytes, samples_bytes
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.disk import disk_bytes, disk_need, disk_warning, free_bytes
from prerl_spec.compiler.render.render_plan import render_plan
from prerl_spec.evaluation.scores.samples import sample_line
from prerl_spec.types import Generation, Outcome, Verdict

SMOKE = Path(__file__).parents[2] / "specs" / "smoke.toml"
PARAMETERS = 80_320
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return replace(compile_spec(SMOKE).plan, output_dir=str(tmp_path / "runs"))


def with_free(num_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(10**12, 0, num_bytes))


def test_the_disk_of_smoke_is_that_of_a_calculation_by_hand(plan: Plan) -> None:
    # pretrain 150 steps, prune 2, refine 3; a checkpoint every 50 steps and at each phase's end: 3 + 1 + 1 of them.
    assert plan.num_parameters == PARAMETERS
    need = disk_bytes(plan)
    assert need.checkpoints == 12 * PARAMETERS * (2 + 3)
    assert need.checkpoints_certain == 12 * PARAMETERS * 3  # the phase ends, two of which are the newest two
    step = {p.id: p.attempts_per_step * (RESPONSE_BYTES + p.max_new_tokens * (4 + 8 + 4)) for p in plan.phases}
    assert need.journal_steps == {**step, "pretrain": 0}
    assert need.journal == 2 * step["prune"] + 3 * step["refine"]
    # lm_eval before training and at 3 phase ends, 2 tasks of 8 questions; holdout after 50, 100 and 150 steps and at the end,
    # 8 questions: 2 responses of 40 tokens to each, and a line has the question.
    assert [e.rounds for e in plan.evaluators] == [4, 4]
    assert need.samples == (4 * 2 * 8 * 2 + 4 * 8 * 2) * (EVALUATED_BYTES + 40 * 4)
    assert need.known == need.journal + need.checkpoints + need.samples


def test_an_evaluated_response_takes_no_more_than_its_estimate() -> None:
    generation = Generation(tuple(range(512)), (-1.0,) * 512, "length")
    asked, verdict = (
        "Natalia sold clips to 48 of her friends. " * 8,
        Verdict(Outcome.UNPARSABLE, 0.0, detail="no box in it"),
    )
    line = sample_line("f" * 16, 1318, 15, asked, "72", "abcd" * 512, generation, verdict)
    assert len(json.dumps(line)) + 1 <= samples_bytes(1, 512) <= 1.25 * len(json.dumps(line))


def test_evaluated_responses_of_unknown_number_leave_the_disk_unknown(plan: Plan) -> None:
    unknown = disk_bytes(replace(plan, evaluators=(replace(plan.evaluators[0], tokens_at_most=None),)))
    assert (unknown.samples, unknown.is_known) == (None, False)
    assert disk_bytes(replace(plan, evaluators=())).samples == 0


def test_a_refill_is_written_as_well_and_a_token_budget_leaves_the_journal_unknown(plan: Plan) -> None:
    prune = replace(plan.phases[1], refill_rounds=2)
    more = disk_bytes(replace(plan, phases=(plan.phases[0], prune, plan.phases[2])))
    assert more.journal_steps["prune"] == 3 * disk_bytes(plan).journal_steps["prune"]
    endless = replace(plan, phases=(*plan.phases[:2], replace(plan.phases[2], steps=None)))
    assert disk_bytes(endless).journal is None
    assert "unknown in all: a phase ends by a token budget" in " ".join(render_plan(endless).split())


def test_a_journal_is_known_where_the_number_of_parameters_is_not(plan: Plan) -> None:
    need = disk_bytes(replace(plan, num_parameters=None))
    assert (need.checkpoints, need.is_known, need.known) == (None, False, (need.journal or 0) + (need.samples or 0))


def test_a_step_of_128_prompts_with_8_responses_of_8192_tokens() -> None:
    assert journal_step_bytes(128 * 8, 8192) == 1024 * (300 + 8192 * 16)  # 135 MB


def test_merged_copies_of_an_adapter_count(plan: Plan) -> None:
    adapted = replace(plan, adapter_parameters=1000, model=replace(plan.model, slots={"adapter": plan.model}))
    assert disk_bytes(adapted).checkpoints_certain == 3 * (12 * 1000 + 4 * PARAMETERS)


def test_a_plan_says_what_is_written_and_what_is_free(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(1 << 30, monkeypatch)
    page = " ".join(render_plan(plan).split())
    assert "journal at most" in page
    assert "a step in prune" in page
    assert "every step is kept, for samples, report and replay" in page
    assert f"1.0 GiB free in {plan.output_dir}" in page
    assert "warning" not in page


def test_what_may_not_fit_is_a_warning_and_what_cannot_fit_a_need(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need = disk_bytes(plan)
    assert need.checkpoints_certain is not None
    with_free(need.known, monkeypatch)
    assert (disk_warning(plan), disk_need(plan)) == (None, None)
    with_free(need.checkpoints_certain, monkeypatch)
    assert "if every response has the maximum length" in (disk_warning(plan) or "")
    assert disk_need(plan) is None
    assert "warning" in render_plan(plan)
    with_free(need.checkpoints_certain - 1, monkeypatch)
    assert disk_need(plan) is not None
    for command in (["plan", str(SMOKE), "--here"], ["run", str(SMOKE), "--run-dir", f"{plan.output_dir}/run"]):
        assert cli.main(command) == 3
        assert "its checkpoints alone take 3 MiB" in capsys.readouterr().err
    assert not Path(plan.output_dir).exists()


def test_what_an_unfinished_run_has_written_counts_as_free(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(plan.output_dir) / plan.name
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.text(), encoding="utf-8")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "model.safetensors").write_bytes(b"0" * 4096)
    with_free(1 << 20, monkeypatch)
    assert free_bytes(plan) == free_bytes(plan, folder) == (1 << 20) + 4096 + (folder / "plan.json").stat().st_size
    assert free_bytes(plan, folder.parent / "another") == 1 << 20
