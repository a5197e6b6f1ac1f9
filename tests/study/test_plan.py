"""What a study is, before anything runs: its cells, what they share, in which order they run, where its folder lies."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from prerl_spec.cli.main import main
from prerl_spec.cli.shared import locked
from prerl_spec.cli.shared.locked import pinned
from prerl_spec.compiler.plan import StartPlan
from prerl_spec.errors import Damaged, SpecInvalid, UsageError
from prerl_spec.storage.disk import write_whole
from prerl_spec.storage.study_files import STUDY
from prerl_spec.study import run_plans
from prerl_spec.study.compile_study import compile_study
from prerl_spec.study.detectable import detectable
from prerl_spec.study.overview import overview
from prerl_spec.study.readable_axes import readable_axes
from prerl_spec.study.run_plans import prepared
from prerl_spec.study.shell_lines import shell_lines
from prerl_spec.study.study_folder import (
    StudyFolder,
    begin_study,
    choose_study_folder,
    earlier_others,
    hold_study,
    study_json,
)
from prerl_spec.study.study_plan import StudyPlan
from prerl_spec.study.tasks import tasks_of
from tests.study.specs import DOCUMENTS, FOUR_ARMS, TWO_ARMS, written


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> StudyPlan:
    text = FOUR_ARMS.replace("[0, 1, 2]", "[0, 1]")
    return compile_study(written(tmp_path_factory.mktemp("four"), text))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> StudyPlan:
    return compile_study(written(tmp_path_factory.mktemp("two"), TWO_ARMS))


@pytest.fixture
def two(compiled: StudyPlan, tmp_path: Path) -> StudyPlan:
    """A study that nothing has been written of."""
    return replace(compiled, output_dir=tmp_path / "runs")


def test_every_arm_has_a_cell_at_every_seed_under_the_streams_of_a_study(four: StudyPlan) -> None:
    assert [cell.name for cell in four.cells][:5] == ["refined/0", "warm/0", "even/0", "long/0", "refined/1"]
    assert [cell.plan.seed for cell in four.cells] == [0] * 4 + [1] * 4
    assert {cell.plan.streams for cell in four.cells} == {"phase"}
    assert len({cell.plan.digest for cell in four.cells}) == 8


def test_written_streams_give_way_and_it_is_said(tmp_path: Path) -> None:
    text = TWO_ARMS.replace('name = "tiny",', 'name = "tiny", streams = "global",')
    study = compile_study(written(tmp_path, text))
    assert {cell.plan.streams for cell in study.cells} == {"phase"}
    assert len(study.notes) == 1
    assert "run.streams" in study.notes[0]
    assert "spec.toml:3" in study.notes[0]


def test_leading_phases_are_shared_where_plans_agree_up_to_them(four: StudyPlan) -> None:
    of_arm = {cell.arm: [s.in_words() for s in cell.continues] for cell in four.cells if cell.seed == 1}
    assert of_arm == {
        "refined": ["pretrain"],
        "warm": ["pretrain", "pretrain, prune"],
        "even": ["pretrain", "pretrain, prune"],
        "long": ["pretrain"],
    }
    assert len(four.shared) == 4
    common = four.common(1)
    assert common is not None
    assert common.in_words() == "pretrain"


def test_phases_that_the_same_arms_go_through_are_one_run(tmp_path: Path) -> None:
    text = FOUR_ARMS.replace("refined = {}", "").partition("[[study.arms.long")[0].replace("[0, 1, 2]", "[0, 1]")
    study = compile_study(written(tmp_path, text))
    assert study.arms == ("warm", "even")
    assert [s.in_words() for s in study.shared] == ["pretrain, prune"] * 2


def test_a_shared_run_comes_before_its_cells_and_a_first_arm_before_the_others(four: StudyPlan) -> None:
    place = {task.name: number for number, task in enumerate(tasks_of(four))}
    assert all(place[before] < place[task.name] for task in tasks_of(four) for before in task.after)
    stages = {task.name: task.stage for task in tasks_of(four)}
    assert all(stages[before] < stages[task.name] for task in tasks_of(four) for before in task.after)
    others = [task for task in tasks_of(four) if task.cell is not None and task.cell.arm != "refined"]
    assert all(f"refined/{task.seed}" in task.after for task in others)


def test_the_seeds_cross_bases_unless_one_base_is_named(tmp_path: Path, two: StudyPlan) -> None:
    assert two.base().startswith("crosses bases and seeds")
    one = compile_study(written(tmp_path, TWO_ARMS.replace('"data:corpus"', '"data:corpus"\nseed = 4')))
    assert one.base().startswith("pairs on one base: model.seed = 4; each seed then trains pretrain of its own")
    each = TWO_ARMS.replace('"data:corpus"', '"data:corpus"\nseed = "${run.seed}"')
    each = each.replace("output_dir", "seed = 0, output_dir")
    assert compile_study(written(tmp_path, each)).base() == "crosses bases and seeds: model.seed = 0; model.seed = 1"


def test_a_spec_without_a_study_is_refused_with_its_place(tmp_path: Path) -> None:
    text = TWO_ARMS.partition("[study]")[0]
    with pytest.raises(SpecInvalid) as refused:
        compile_study(written(tmp_path, text))
    assert [(d.code, d.path) for d in refused.value.diagnostics] == [("E0204", "study")]
    assert refused.value.exit_code == 1


@pytest.mark.parametrize("name", ["..", "a/b", "x" * 65, "shared", "-x"])
def test_an_arm_that_no_folder_can_be_named_after_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecInvalid) as refused:
        compile_study(written(tmp_path, TWO_ARMS.replace("refined = {}", f'"{name}" = {{}}')))
    assert [d.code for d in refused.value.diagnostics] == ["E0202"]


def test_an_unfinished_study_of_the_same_spec_goes_on_and_another_spec_takes_a_new_folder(
    tmp_path: Path, two: StudyPlan
) -> None:
    folder, there = begin_study(two, None, {})
    assert (folder.root, there) == (tmp_path / "runs" / "tiny-study", False)
    assert begin_study(two, None, {})[1]
    other = replace(two, budget=3.0)
    assert choose_study_folder(other, None)[0].root.name == "tiny-study-2"
    with pytest.raises(UsageError, match=r"another spec: study\.budget is not written there, 3\.0 here"):
        choose_study_folder(other, folder.root)
    assert list(earlier_others(other)) == [(folder.root, "study.budget is not written there, 3.0 here")]


def test_a_folder_of_another_spec_is_refused_with_the_key_that_differs(tmp_path: Path, two: StudyPlan) -> None:
    folder, _ = begin_study(two, None, {})
    longer = compile_study(written(tmp_path, TWO_ARMS.replace("steps = 2", "steps = 3")))
    for begun in (None, tasks_of(two)[0]):
        if begun is not None:
            prepared(two, folder, begun)
        with pytest.raises(UsageError, match=r"another spec: [0-9a-f]{12}, this one is"):
            choose_study_folder(longer, folder.root)
    write_whole(folder.run("refined/0") / "plan.json", two.cell("refined", 0).plan.text())
    with pytest.raises(UsageError, match=r"another spec: phases\.refine\.schedule\.steps is 2 there, 3 here$"):
        choose_study_folder(longer, folder.root)
    seeds = compile_study(written(tmp_path, TWO_ARMS.replace("[0, 1]", "[0, 1, 2]")))
    with pytest.raises(UsageError, match=r"study\.seeds is \[0, 1\] there, \[0, 1, 2\] here$"):
        choose_study_folder(seeds, folder.root)


def test_a_study_that_was_killed_while_its_folder_was_written_goes_on(
    tmp_path: Path, two: StudyPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(file: Path, text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("prerl_spec.study.study_folder.write_whole", killed)
    with pytest.raises(KeyboardInterrupt):
        begin_study(two, tmp_path / "given", {})
    monkeypatch.undo()
    half = tmp_path / "half"
    half.mkdir()
    (half / f".{STUDY}.12").touch()
    assert choose_study_folder(two, half)[1] is False
    folder, there = begin_study(two, tmp_path / "given", {})
    assert there
    assert (folder.root / "spec.toml").read_text() == two.spec_text


def test_a_folder_of_something_else_is_refused(tmp_path: Path, two: StudyPlan) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").touch()
    with pytest.raises(UsageError, match="holds no study"):
        choose_study_folder(two, tmp_path / "mine")


def test_a_changed_byte_of_study_json_is_named(tmp_path: Path, two: StudyPlan) -> None:
    folder, _ = begin_study(two, None, {})
    file = folder.root / STUDY
    file.write_text(file.read_text().replace("generated_tokens", "generated_tokenz"))
    with pytest.raises(Damaged, match=r"study\.json"):
        begin_study(two, None, {})


def test_a_second_study_on_a_folder_is_refused_and_single_cells_share_it(two: StudyPlan) -> None:
    folder, _ = begin_study(two, None, {})
    with hold_study(folder, alone=True), pytest.raises(UsageError, match="is live"), hold_study(folder, alone=False):
        pass
    with hold_study(folder, alone=False), hold_study(folder, alone=False):
        pass


def test_what_is_about_to_happen_is_said_first(four: StudyPlan) -> None:
    said = overview(four, StudyFolder(Path("nowhere")), detectable(four), 1)
    assert "4 arms x 2 seeds" in said
    assert "96 generated tokens, counted from the end of what all arms share" in said
    assert "12, 8 cells among them" in said
    assert "the seconds that each run takes to start" in " ".join(said.split())
    assert "tokens sampled" in said
    assert "unknown: no earlier run of this study tells the spread" in said
    assert "study.prior_sd" in said


def test_the_detectable_effect_comes_from_a_stated_prior(four: StudyPlan) -> None:
    prior = detectable(replace(four, prior_sd=0.02))
    assert prior.source == "study.prior_sd"
    wide = detectable(replace(four, prior_sd=0.04))
    assert prior.effect is not None
    assert wide.effect is not None
    assert 0.02 < prior.effect < wide.effect
    assert "seeds are the unit" in prior.in_words(four)


def test_commands_are_printed_in_stages_and_nothing_is_written(tmp_path: Path, two: StudyPlan) -> None:
    lines = shell_lines(two, choose_study_folder(two, None)[0], Path("spec.toml"), ["--set=run.name=tiny"]).splitlines()
    stages = [line for line in lines if line.startswith("# stage")]
    assert stages == ["# stage 1", "# stage 2", "# stage 3"]
    cells = [line.rpartition(" ")[2] for line in lines if not line.startswith("#")]
    assert cells[2:] == ["refined/0", "refined/1", "pruned/0", "pruned/1"]
    assert not (tmp_path / "runs").exists()


def test_print_commands_exits_with_0_and_an_unknown_cell_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = str(written(tmp_path, TWO_ARMS))
    assert main(["study", spec, "--print-commands"]) == 0
    assert "--cell refined/0" in capsys.readouterr().out
    assert main(["study", spec, "--cell", "refind/0"]) == 2
    assert "did you mean `refined/0`?" in capsys.readouterr().err


def test_a_study_runs_at_the_commits_of_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = written(tmp_path, TWO_ARMS)
    assert pinned(spec, {"sets": ("run.seed=4",)}) == {"sets": ("run.seed=4",)}
    assert main(["lock", str(spec)]) == 0
    monkeypatch.setattr(locked, "pins", lambda resolved, lock: ("model.revision=a1",))
    assert pinned(spec, {"sets": ("run.seed=4",)}) == {"sets": ("run.seed=4", "model.revision=a1")}


def test_one_seed_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(SpecInvalid) as refused:
        compile_study(written(tmp_path, TWO_ARMS.replace("[0, 1]", "[1]")))
    assert [(d.code, d.path) for d in refused.value.diagnostics] == [("E0701", "study.seeds")]


def test_a_cell_that_is_not_there_is_told_with_arms_and_seeds(
    two: StudyPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", str(two.spec_file), "--cell", "refined/7"]) == 2
    said = capsys.readouterr().err
    assert "the study has no cell `refined/7`" in said
    assert "Arms: refined, pruned; seeds: 0, 1" in said


def test_a_plan_says_how_many_cells_a_study_has_and_what_runs_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(written(tmp_path, TWO_ARMS))]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "`prerl-spec study` has 4 cells, arms (2: refined, pruned) x seeds (2)" in shown


def test_one_arm_alone_is_run_and_compared_with_nothing(tmp_path: Path) -> None:
    study = compile_study(written(tmp_path, TWO_ARMS.partition("[[study.arms")[0]))
    said = " ".join(overview(study, StudyFolder(tmp_path), detectable(study), 1).split())
    assert "arms refined seeds" in said
    assert "detects unknown: there is one arm, and nothing to compare it with" in said


OTHER_ARMS = """
[study.arms.elsewhere.model]
seed = 5
[study.arms.wide]
phases = [{ id = "refine", prompts_per_step = 4 }]
[study.arms.hard]
phases = [{ id = "refine", data = "hard" }]
data.hard = { use = "arithmetic_chains", part = "hard" }
[study.arms.many.sampler]
group_size = 4
"""


def test_arms_that_meet_other_questions_or_begin_elsewhere_are_not_called_paired(tmp_path: Path) -> None:
    study = compile_study(written(tmp_path, TWO_ARMS + OTHER_ARMS))
    assert study.unpaired == (
        "elsewhere is not paired with refined in where it begins: model or start.from is another",
        "wide is not paired with refined in refine: 4 prompts a step, against 2, are the same in the same order, and at "
        "other steps",
        "hard is not paired with refined in refine: it is asked other questions",
    )
    said = overview(study, StudyFolder(tmp_path), detectable(study), 1)
    assert "but for what is noted below" in " ".join(said.split())
    assert "wide is not paired" in said
    assert study_json(study, {})["unpaired"] == list(study.unpaired)


@pytest.mark.parametrize(
    ("every", "steps", "more", "said", "ends"),
    [
        (None, 40, "", "no evaluator has `every`", "without all three"),
        (
            10,
            40,
            "",
            "scores lie 10 steps apart, and an arm has 40: where one ends at less than 100% of",
            "every = 5 would do",
        ),
        (6, 40, "", "less than 60% of another's", "every = 5 would do"),
        (5, 40, "", None, ""),
        (2, 1, "", "scores lie 2 steps apart, and an arm has 1: ", "every = 1 would not do either"),
        (1, 2, "", None, ""),
        # Arms matched in steps take the budget behind what all share, whatever their schedules say; others do not.
        (
            10,
            200,
            'match = "steps"\nbudget = 2',
            "scores lie 10 steps apart, and an arm has 2: ",
            "every = 1 would not do either",
        ),
        (4, 8, 'match = "steps"\nbudget = 32', None, ""),
        (5, 8, 'match = "steps"\nbudget = 32', "an arm has 32", "every = 4 would do"),
        (4, 8, 'match = "steps"', "an arm has 8", "every = 1 would do"),
        (4, 8, "budget = 32", "an arm has 8", "every = 1 would do"),
    ],
)
def test_what_no_curve_will_tell_is_said_beforehand(
    tmp_path: Path, every: int | None, steps: int, more: str, said: str | None, ends: str
) -> None:
    text = TWO_ARMS.replace('use = "fixed_steps", steps = 2', f'use = "fixed_steps", steps = {steps}')
    text = text.replace("seeds = [0, 1]", f"seeds = [0, 1]\n{more}")
    if every is not None:
        text = text.replace("[[evaluate]]\n", f"[[evaluate]]\nevery = {every}\n")
    notes = list(readable_axes(compile_study(written(tmp_path, text))))
    assert [said in note for note in notes] == ([] if said is None else [True]), notes
    assert all(note.endswith(ends) for note in notes), notes


def test_arms_matched_in_steps_without_a_budget_take_the_steps_of_the_first(tmp_path: Path) -> None:
    text = TWO_ARMS.replace("[[evaluate]]\n", "[[evaluate]]\nevery = 4\n").replace("[0, 1]", '[0, 1]\nmatch = "steps"')
    first = '[[study.arms.refined.phases]]\nid = "refine"\nschedule = { use = "fixed_steps", steps = 40 }\n'
    assert list(readable_axes(compile_study(written(tmp_path, text.replace("refined = {}\n", first))))) == []


def test_arms_that_train_alike_are_refused_before_their_commands_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = '[[study.arms.scored.evaluate]]\nuse = "holdout"\ndata = "train"\nlimit = 2\nevery = 1\n'
    assert main(["study", str(written(tmp_path, TWO_ARMS + more)), "--print-commands"]) == 1
    said = capsys.readouterr()
    assert "error[E0701]: the arms `refined` and `scored` differ in nothing" in said.err
    assert said.out == ""


NULL = """
[[study.arms.null.phases]]
id = "refine"
objective = "nothing"
"""


def test_an_arm_that_takes_nothing_of_what_is_matched_is_refused_beside_arms_that_do(tmp_path: Path) -> None:
    for written_match, path, label in (
        ('match = "trained_tokens"', "study.match", "[[study.arms.null.phases]]"),
        ('match = "trained_tokens"\nbudget = 9', "study.match", "[[study.arms.null.phases]]"),
    ):
        text = TWO_ARMS.replace("seeds = [0, 1]", f"seeds = [0, 1]\n{written_match}") + NULL
        with pytest.raises(SpecInvalid) as refused:
            compile_study(written(tmp_path, text))
        (found,) = refused.value.diagnostics
        assert (found.code, found.path) == ("E0701", path)
        assert text.splitlines()[found.labels[0].span.line - 1] == label
        assert "the arm `null` trains on no tokens" in found.message
    steps = compile_study(
        written(tmp_path, TWO_ARMS.replace("seeds = [0, 1]", 'seeds = [0, 1]\nmatch = "steps"') + NULL)
    )
    assert steps.is_cut


def test_arms_that_sample_nothing_end_by_their_own_schedules_and_reach_no_budget(tmp_path: Path) -> None:
    study = compile_study(written(tmp_path, DOCUMENTS))
    assert not study.is_cut
    assert "ends at the end of its own schedules" in " ".join(
        overview(study, StudyFolder(tmp_path), detectable(study), 1).split()
    )
    with pytest.raises(SpecInvalid) as refused:
        compile_study(written(tmp_path, DOCUMENTS.replace("seeds = [0, 1]", "seeds = [0, 1]\nbudget = 9")))
    assert [(d.code, d.path) for d in refused.value.diagnostics] == [("E0701", "study.budget")]


def test_cells_behind_shared_phases_are_scored_as_if_these_were_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluators render questions as the first phase's data set says, and one arm's own first phase has another."""
    (tmp_path / "rows.jsonl").write_text('{"question": "1 + 1", "answer": "2"}\n' * 4)
    brief = '[data.brief]\nuse = "jsonl"\npath = "rows.jsonl"\nsystem = "Be brief."\n'
    scored = '[[evaluate]]\nuse = "lm_eval"\ntasks = ["arithmetic_chains_easy"]\n'
    text = TWO_ARMS.replace("train/avg@1", "arithmetic_chains_easy/avg@1").replace(
        "[sampler]", f"{brief}{scored}[sampler]"
    )
    study = compile_study(written(tmp_path, text.replace('id = "refine"\n', 'id = "refine"\ndata = "brief"\n', 1)))
    monkeypatch.setattr(
        run_plans, "planned_start", lambda *_: StartPlan("x@pretrain", (), "pretrain", Mock(content="x"))
    )
    cell = study.cells[0]
    left = run_plans.continued(cell.plan, StudyFolder(tmp_path), cell.continues[-1])
    settings = next(e.component.settings for e in left.evaluators if e.component.use == "lm_eval")
    assert (settings["system"], settings["chat"]) == ("", "off")
