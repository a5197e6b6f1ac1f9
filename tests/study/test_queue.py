"""The queue: what may begin, what a failure stops, what a signal does; and the folders that a study writes."""

import signal
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.compiler.graph import Cut
from prerl_spec.compiler.plan import Plan
from prerl_spec.errors import Damaged, Interrupted, UsageError
from prerl_spec.storage.chained_lines import read_lines
from prerl_spec.study import run_plans
from prerl_spec.study.amounts import amount
from prerl_spec.study.compile_study import compile_study
from prerl_spec.study.detectable import detectable
from prerl_spec.study.results import results_table, short_of_budget
from prerl_spec.study.running.cell_queue import CellQueue, Outcome
from prerl_spec.study.shared_phases import SharedPhases
from prerl_spec.study.state import last_notes, note
from prerl_spec.study.study_folder import StudyFolder, begin_study, choose_study_folder, is_complete
from prerl_spec.study.study_plan import StudyPlan
from prerl_spec.study.tasks import Task, tasks_of
from tests.run_files import write_events, write_object, write_scores
from tests.study.quiet import Quiet
from tests.study.specs import DOCUMENTS, FOUR_ARMS, TWO_ARMS, written

APART = TWO_ARMS + ('\n[[study.arms.pruned.phases]]\nid = "pretrain"\nprompts_per_step = 4\n')
"""Arms that share no phase: no run of it starts from another."""


@dataclass
class Fakes:
    """`Start`: each run looks finished, or failed, when it is looked at for the `looks`-th time."""

    failing: frozenset[str] = frozenset()
    looks: int = 1
    begun: list[str] = field(default_factory=list)
    plans: dict[str, Plan] = field(default_factory=dict)
    together: int = 0
    live: int = 0
    sent: list[int] = field(default_factory=list)

    def __call__(self, folder: StudyFolder, task: Task, plan: Plan) -> "Fake":
        self.begun.append(task.name)
        self.plans[task.name] = plan
        self.live += 1
        self.together = max(self.together, self.live)
        return Fake(self, folder.run(task.name), task)


@dataclass
class Fake:
    of: Fakes
    run: Path
    task: Task
    looked: int = 0
    code: int | None = None

    def exit_code(self) -> int | None:
        self.looked += 1
        if self.code is None and self.looked >= self.of.looks:
            self._end(5 if self.task.name in self.of.failing else 0)
        return self.code

    def _end(self, code: int) -> None:
        self.code = code
        self.of.live -= 1
        if code == 0:
            tokens = {"generated": 10 + self.task.seed, "trained": 7}
            step = {
                "event": "step",
                "global_step": 1,
                "tokens": tokens,
                "seconds": {"total": 0.5},
                "hashes": {"journal": None},
            }
            write_events(self.run / "events.jsonl", [step, step, {**step, "global_step": 2}, {"event": "end"}])

    def send(self, number: int) -> None:
        self.of.sent.append(number)
        if self.code is None:
            self._end(75)

    def cause(self) -> str:
        return "exit 5: error: it broke"


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> StudyPlan:
    return compile_study(written(tmp_path_factory.mktemp("apart"), APART))


@pytest.fixture
def folder(planned: StudyPlan, tmp_path: Path) -> StudyFolder:
    return begin_study(planned, tmp_path / "study", {})[0]


def queued(study: StudyPlan, folder: StudyFolder, start: Fakes, jobs: int = 1) -> Outcome:
    return CellQueue(study, folder, tasks_of(study), start, Quiet(), jobs).run()


def test_other_arms_end_at_what_the_first_arm_has_taken_with_their_seed(
    planned: StudyPlan, folder: StudyFolder
) -> None:
    start = Fakes()
    assert queued(planned, folder, start) == Outcome()
    assert start.begun == ["refined/0", "pruned/0", "refined/1", "pruned/1"]
    assert start.plans["refined/0"].cut is None
    cuts = {name: plan.cut for name, plan in start.plans.items() if plan.cut is not None}
    assert {name: cut.budget for name, cut in cuts.items()} == {"pruned/0": 20.0, "pruned/1": 22.0}


def test_what_some_arms_share_counts_for_each_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def behind(plan: Plan, folder: StudyFolder, shared: SharedPhases) -> Plan:
        return replace(plan, phases=plan.phases[shared.num_phases :])

    monkeypatch.setattr(run_plans, "continued", behind)
    text = FOUR_ARMS.partition("[[study.arms.long")[0].replace("[0, 1, 2]", "[0, 1]")
    study = compile_study(written(tmp_path, text))
    for budget, phases, before in ((96.0, ["refine"], 20.0), (20.0, ["prune", "refine"], 0.0)):
        ends, start = replace(study, budget=budget), Fakes()
        folder, _ = begin_study(ends, None, {})
        CellQueue(ends, folder, [task for task in tasks_of(ends) if task.seed == 0], start, Quiet()).run()
        assert [phase.id for phase in start.plans["warm/0"].phases] == phases
        cuts = {arm: start.plans[f"{arm}/0"].cut for arm in ends.arms}
        assert cuts["warm"] == cuts["even"] == Cut("generated_tokens", budget, before)
        assert cuts["refined"] == Cut("generated_tokens", budget)


def test_cells_that_end_before_their_budget_are_named(planned: StudyPlan, folder: StudyFolder) -> None:
    ends = replace(planned, budget=96.0)
    queued(ends, folder, Fakes())
    run = folder.run("pruned/0")
    write_events(run / "events.jsonl", [{"event": "cut"}, {"event": "end"}])
    assert short_of_budget(ends, folder) == ["refined/0", "refined/1", "pruned/1"]


def test_a_repeated_step_counts_once_in_every_amount(planned: StudyPlan, folder: StudyFolder) -> None:
    queued(planned, folder, Fakes())
    run = folder.run("refined/1")
    taken = {match: amount(run, match) for match in ("generated_tokens", "trained_tokens", "steps", "seconds")}
    assert taken == {"generated_tokens": 22, "trained_tokens": 14, "steps": 2, "seconds": 1.0}


def test_a_failed_cell_stops_only_what_waits_for_it_and_is_tried_again(planned: StudyPlan, folder: StudyFolder) -> None:
    found = queued(planned, folder, Fakes(failing=frozenset({"refined/0"})))
    assert found.failed == {"refined/0": "exit 5: error: it broke"}
    assert found.blocked == ["pruned/0"]
    assert last_notes(folder)["refined/0"]["event"] == "fail"
    again = Fakes()
    assert queued(planned, folder, again) == Outcome()
    assert again.begun == ["refined/0", "pruned/0"]
    assert last_notes(folder)["refined/0"]["event"] == "end"


def test_a_cell_alone_runs_behind_those_that_other_commands_have_finished(
    planned: StudyPlan, folder: StudyFolder
) -> None:
    """As `--cell` runs it, on a machine of its own."""
    tasks = {task.name: task for task in tasks_of(planned)}
    assert tasks["pruned/0"].after == ("refined/0",)
    for name in ("refined/0", "pruned/0"):
        start = Fakes()
        assert CellQueue(planned, folder, [tasks[name]], start, Quiet()).run() == Outcome()
        assert start.begun == [name]


def test_as_many_cells_run_at_once_as_there_are_jobs(planned: StudyPlan, folder: StudyFolder) -> None:
    start = Fakes()
    queued(planned, folder, start, jobs=2)
    assert start.begun[:2] == ["refined/0", "refined/1"]
    assert start.together == 2


def test_a_signal_reaches_the_running_cell_and_nothing_else_begins(planned: StudyPlan, folder: StudyFolder) -> None:
    class Stops(Quiet):
        def begun(self, task: Task) -> None:
            signal.raise_signal(signal.SIGTERM)

    start = Fakes(looks=100)
    with pytest.raises(Interrupted):
        CellQueue(planned, folder, tasks_of(planned), start, Stops()).run()
    assert start.begun == ["refined/0"]
    assert signal.SIGTERM in start.sent
    assert last_notes(folder)["refined/0"]["event"] == "stop"


def test_a_base_that_the_first_arm_has_scored_is_not_scored_again(planned: StudyPlan, folder: StudyFolder) -> None:
    cache = folder.run("refined/0") / "evaluation" / "cache"
    write_object(cache / "a.json", {"scores": [{"phase": "base"}]})
    write_object(cache / "b.json", {"scores": [{"phase": "refine"}]})
    write_object(cache / "c.json", {"scores": [{"phase": "base"}]})
    (cache / "c.json").write_bytes((cache / "c.json").read_bytes().replace(b"base", b"basf"))
    queued(planned, folder, Fakes())
    known = folder.run("pruned/0") / "evaluation" / "cache"
    assert [file.name for file in known.iterdir()] == ["a.json"]
    assert not (folder.run("pruned/1") / "evaluation").exists()


def test_a_changed_byte_of_the_state_is_named(planned: StudyPlan, folder: StudyFolder) -> None:
    queued(planned, folder, Fakes())
    content = folder.state.read_bytes()
    folder.state.write_bytes(content.replace(b"pruned/0", b"pruned/9", 1))
    with pytest.raises(Damaged, match=r"state\.jsonl:"):
        read_lines(folder.state)


def test_a_finished_study_leaves_its_folder_to_itself(planned: StudyPlan, folder: StudyFolder) -> None:
    queued(planned, folder, Fakes())
    assert choose_study_folder(planned, folder.root)[1]
    start = Fakes()
    assert queued(planned, folder, start) == Outcome()
    assert start.begun == []


def test_a_finished_study_is_found_again_and_an_unfinished_one_before_it(planned: StudyPlan, tmp_path: Path) -> None:
    """A job that is queued once more must not begin the study anew."""
    plan = replace(planned, output_dir=tmp_path / "runs")
    folder, there = begin_study(plan, None, {})
    assert not there
    queued(plan, folder, Fakes())
    found, there = choose_study_folder(plan, None)
    assert (found.root, there, is_complete(found, plan)) == (folder.root, True, True)
    with pytest.raises(UsageError, match=r"--new: .* is not empty"):
        choose_study_folder(plan, folder.root, new=True)
    second, there = begin_study(plan, None, {}, new=True)
    assert (second.root.name, there) == (f"{folder.root.name}-2", False)
    assert choose_study_folder(plan, None)[0].root == second.root, "the unfinished one goes on"
    queued(plan, second, Fakes())
    assert choose_study_folder(plan, None)[0].root == second.root, "of finished ones the newest"


def test_a_shared_run_says_what_it_computes() -> None:
    assert Task("shared/0a1b", (), 0, 3, phase="pretrain").label == "shared/0a1b (pretrain, seed 3)"


def test_the_table_has_means_over_seeds_with_the_primary_first(planned: StudyPlan, folder: StudyFolder) -> None:
    queued(planned, folder, Fakes())
    for number, cell in enumerate(planned.cells):
        rows = [
            {"phase": "base", "global_step": 0, "task": "train", "metric": "avg@1", "value": 0.9},
            {"phase": "refine", "global_step": 2, "task": "other", "metric": "avg@1", "value": 0.5},
            {"phase": "refine", "global_step": 2, "task": "train", "metric": "avg@1", "value": number / 10},
        ]
        write_scores(folder.run(cell.name) / "scores.json", rows)
    lines = [line.split() for line in results_table(planned, folder).splitlines()]
    assert lines[0] == ["mean", "over", "seeds", "refined", "pruned"]
    assert lines[2:] == [["train/avg@1", "0.100", "0.200"], ["other/avg@1", "0.500", "0.500"], ["seeds", "2", "2"]]


def test_the_spread_is_that_of_earlier_runs_once_and_of_those_that_are_whole(
    planned: StudyPlan, tmp_path: Path
) -> None:
    plan = replace(planned, output_dir=tmp_path / "runs")
    folders = []
    for _ in range(3):
        folder, _ = begin_study(plan, None, {}, new=True)
        queued(plan, folder, Fakes())
        for number, cell in enumerate(plan.cells):
            row = {"phase": "refine", "global_step": 2, "task": "train", "metric": "avg@1", "value": number**2 / 10}
            write_scores(folder.run(cell.name) / "scores.json", [row])
        folders.append(folder)
    assert "3 comparisons of earlier runs, 3 degrees" in detectable(plan).source
    for cell in plan.cells:
        note(folders[1], "take", cell.name)
    assert "2 comparisons of earlier runs, 2 degrees" in detectable(plan).source, "a copy tells nothing new"
    file = folders[2].run("pruned/1") / "scores.json"
    file.write_bytes(file.read_bytes().replace(b"train", b"trajn"))
    source = detectable(plan).source
    assert source.startswith("1 comparison of earlier runs, 1 degree of freedom; damaged, and left out: ")
    assert source.endswith(str(file))


def test_fsck_checks_what_a_study_has_written(
    planned: StudyPlan, folder: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    queued(planned, folder, Fakes())
    file = folder.root / "study.json"
    file.write_bytes(file.read_bytes().replace(b"pruned", b"pruneD", 1))
    folder.state.write_bytes(folder.state.read_bytes()[:-9])
    assert main(["fsck", str(folder.root)]) == 5
    said = capsys.readouterr().out
    assert "study.json: damaged" in said
    assert "state.jsonl: torn" in said
    assert "cells/refined/seed-0/manifest.json: damaged: missing" in said


def test_a_first_arm_that_took_nothing_leaves_no_budget_and_arms_without_one_are_not_cut(
    planned: StudyPlan, folder: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_plans, "amount", lambda run, match: 0.0)
    outcome = queued(planned, folder, Fakes())
    assert (
        outcome.failed["pruned/0"]
        == "refined/0 has taken no generated tokens, where this cell would end; write study.budget, or match"
    )
    documents = compile_study(written(tmp_path, DOCUMENTS))
    start = Fakes()
    assert queued(documents, begin_study(documents, None, {})[0], start) == Outcome()
    assert [plan.cut for plan in start.plans.values()] == [None] * 4
