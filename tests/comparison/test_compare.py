"""Folders in, a comparison out: pairs, intervals with their units, what is refused and what is named."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from prerl_spec.comparison.compare import compare
from prerl_spec.comparison.findings import Comparison, Difference
from prerl_spec.comparison.study_folder import seeds_in_words
from prerl_spec.comparison.written.json_form import as_json
from prerl_spec.comparison.written.paper_tables import as_latex, as_markdown
from prerl_spec.comparison.written.text import as_text
from prerl_spec.compiler.compile import read_plan
from prerl_spec.compiler.graph import Cut
from prerl_spec.compiler.planning.digest import digest_of_plan
from prerl_spec.errors import Damaged, UsageError
from prerl_spec.evaluation.scores.question_results import read_questions, write_questions
from prerl_spec.statistics.paired import paired_interval, paired_p_value
from prerl_spec.storage.chained_lines import append_lines, read_lines
from prerl_spec.storage.checks import START
from prerl_spec.storage.counted_lines import read_header
from prerl_spec.storage.sealed import read_object
from tests.comparison.runs import Made, evaluation, results_at, scores_at, write_model, write_run, write_study
from tests.run_files import write_events, write_object, write_scores

WEAK, STRONG = Made(arm=1.0, every=10), Made(arm=2.0, every=10, level=lambda step: 0.2 + 0.035 * step)


def difference(found: Comparison, arm: str, metric: str) -> Difference:
    return next(d for table in found.tables if table.metric == metric for d in table.differences if d.arm == arm)


def refused(*folders: Path, **options: Any) -> str:
    with pytest.raises(UsageError) as error:
        compare(folders, **options)
    return error.value.message


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("pair")
    return write_run(root / "grpo", WEAK), write_run(root / "dsrl", STRONG)


def test_seeds_are_repeats_and_questions_clusters(found: Comparison) -> None:
    dsrl = difference(found, "dsrl", "pass@1")
    assert dsrl.by_seeds is not None
    assert dsrl.by_questions is not None
    assert (dsrl.by_seeds.unit, dsrl.by_seeds.count) == ("seeds", 3)
    assert (dsrl.by_questions.unit, dsrl.by_questions.count) == ("questions", 40)
    by_hand = fmean(dsrl.values[seed] - dsrl.baseline_values[seed] for seed in ("seed 0", "seed 1", "seed 2"))
    assert dsrl.by_seeds.interval.value == pytest.approx(by_hand)
    assert dsrl.by_questions.interval.value == pytest.approx(by_hand)
    assert dsrl.by_seeds.interval != dsrl.by_questions.interval
    assert dsrl.by_seeds.detectable is not None
    assert dsrl.by_seeds.detectable > 0


def test_the_primary_is_claimed_and_the_others_are_exploratory(found: Comparison) -> None:
    assert (found.baseline, found.family, found.primary) == ("grpo", 2, "easy/pass@1")
    assert found.tables[0].is_primary
    assert difference(found, "dsrl", "pass@1").finding.code == "better"
    assert difference(found, "null", "pass@1").finding.code == "worse"
    assert {d.finding.code for t in found.tables[1:] for d in t.differences} <= {"exploratory", "none"}
    assert all(d.adjusted_p is None for t in found.tables[1:] for d in t.differences)


def test_the_primary_is_not_shown_twice_under_its_other_name(found: Comparison, study: Path) -> None:
    assert [(table.metric, table.is_primary) for table in found.tables] == [("pass@1", True), ("pass@4", False)]
    by_name = compare([study], task="easy/avg@4")
    assert [(table.metric, table.is_primary) for table in by_name.tables] == [("avg@4", True)]
    assert by_name.family == found.family


def test_without_a_primary_everything_is_the_family(tmp_path: Path) -> None:
    arms = {"grpo": WEAK, "dsrl": STRONG}
    found = compare([write_study(tmp_path / "study", arms, (0, 1), primary=None)])
    assert found.family == sum(len(table.differences) for table in found.tables) == 2


def test_another_baseline_turns_every_sign(found: Comparison, study: Path) -> None:
    turned = compare([study], baseline="dsrl")
    assert turned.baseline == "dsrl"
    own, other = (difference(found, "dsrl", "pass@1"), difference(turned, "grpo", "pass@1"))
    assert own.by_seeds is not None
    assert other.by_seeds is not None
    assert other.by_seeds.interval.value == pytest.approx(-own.by_seeds.interval.value)
    assert "choose from" in str(refused_hint(study))


def test_a_name_that_means_two_arms_is_refused_and_a_misspelt_one_has_a_suggestion(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(Path("weak"), replace(WEAK, name="strong"))
    write_run(Path("strong"), replace(STRONG, name="other"))
    assert refused(Path("weak"), Path("strong"), baseline="strong") == (
        "--baseline: strong is the name of one arm and a run of another, other"
    )
    for option, words in (({"baseline": "dsrll"}, "did you mean `dsrl`?"), ({"task": "eesy"}, "did you mean `easy`?")):
        with pytest.raises(UsageError) as error:
            compare([study], **option)
        assert words in str(error.value.hint)
    assert refused(study, task="") == "--task names no task"
    assert refused(study, task="easy/") == "easy has no metric without a name"


def test_many_arms_have_a_short_title(tmp_path: Path) -> None:
    models = [write_model(tmp_path / f"m{n}", Made(arm=float(n), questions=4)) for n in range(7)]
    assert compare(models).title == "m0 · m1 · m2 · m3 and 3 more"


def test_named_arms_alone_are_the_family(study: Path) -> None:
    found = compare([study], baseline="null", only=["dsrl"])
    assert (found.family, [arm.arm for arm in found.arms]) == (1, ["null", "dsrl"])
    dsrl = difference(found, "dsrl", "pass@1")
    assert dsrl.by_seeds is not None
    assert dsrl.adjusted_p == dsrl.by_seeds.p_value
    assert found.left_out == (("grpo", "--arms does not name it"),)
    by_folder = compare([study], baseline="null", only=[str(study / "cells/dsrl/seed-1")])
    assert by_folder.tables == found.tables
    assert compare([study], only=["null", "dsrl"]).tables == compare([study]).tables


def test_names_that_are_no_arm_to_compare_are_refused(study: Path) -> None:
    assert refused(study, only=["dsrl", "nobody"]) == "--arms: nobody is none of the arms"
    assert refused(study, only=[]) == "--arms: an empty name is none of the arms"
    assert refused(study, only=["grpo"]) == "--arms names grpo, which is the baseline"


def test_a_margin_is_in_units_of_the_score(study: Path) -> None:
    found = compare([study], margin=0.02)
    assert difference(found, "dsrl", "pass@1").margin == "beyond"
    assert all(d.margin is None for table in compare([study]).tables for d in table.differences)
    with pytest.raises(UsageError, match=r"--margin 2 is larger") as error:
        compare([study], margin=2)
    assert error.value.hint == "write it in units of the score: 2 points are 0.02"


def refused_hint(study: Path) -> str | None:
    with pytest.raises(UsageError) as error:
        compare([study], baseline="nobody")
    return error.value.hint


def test_a_null_arm_has_no_equal_updates(found: Comparison) -> None:
    null = difference(found, "null", "pass@1")
    assert {axis: at.how for axis, at in null.axes.items()} == {
        "generated_tokens": "ends",
        "updates": "unmoved",
        "seconds": "ends",
    }


def test_curves_have_the_spread_of_seeds_and_thresholds_count_who_got_there(found: Comparison) -> None:
    table = found.tables[0]
    grpo, dsrl, null = table.curves
    assert grpo.generated_tokens == (0, 5000, 10000, 15000, 20000)
    assert all(low <= mean <= high for low, mean, high in zip(dsrl.low, dsrl.mean, dsrl.high, strict=True))
    assert null.num_seeds == 3
    assert table.threshold == pytest.approx(fmean(table.baseline_values.values()))
    reached = {one.arm: (one.num_reached, one.generated_tokens) for one in table.reached}
    assert reached["dsrl"][0] == 3
    assert reached["null"] == (0, None)


def test_a_curve_ends_where_the_runs_end_though_their_last_steps_differ(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / f"{arm}-{seed}", Made(arm=arm, seed=seed, every=5, steps=20 + seed))
        for arm in (1.0, 2.0)
        for seed in (0, 1)
    ]
    table = compare(folders).tables[0]
    curve = table.curves[0]
    assert curve.steps == (0, 5, 10, 15, 20, 20.5)
    assert curve.generated_tokens[-1] == 20_500
    assert curve.mean[-1] == pytest.approx(fmean(table.baseline_values.values()))


def test_a_baseline_that_never_rises_gives_no_threshold(tmp_path: Path) -> None:
    flat = [
        write_run(tmp_path / f"flat-{seed}", Made(seed=seed, level=lambda step: 0.6 - 0.02 * step)) for seed in (0, 1)
    ]
    risen = [write_run(tmp_path / f"risen-{seed}", Made(arm=2.0, seed=seed)) for seed in (0, 1)]
    table = compare([*flat, *risen]).tables[0]
    assert table.curves
    assert (table.threshold, table.reached) == (None, ())


def test_runs_that_differ_in_their_seeds_only_are_one_arm(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"{name}-{seed}", replace(made, seed=seed, name=f"{name}-{seed}"))
        for seed in (0, 1)
        for name, made in (("weak", WEAK), ("strong", STRONG))
    ]
    found = compare(runs)
    assert [(arm.arm, arm.seeds) for arm in found.arms] == [
        ("weak-0", ("seed 0", "seed 1")),
        ("strong-0", ("seed 0", "seed 1")),
    ]
    assert found.paired_on == "paired on one base: fresh weights of model.seed 0"


def test_cells_of_a_study_are_one_arm_though_each_seed_is_cut_where_the_first_arm_ended(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", {"grpo": WEAK, "dsrl": STRONG}, (0, 1, 2))
    cells = {arm: [study / f"cells/{arm}/seed-{seed}" for seed in (0, 1, 2)] for arm in ("grpo", "dsrl")}
    for seed, folder in enumerate(cells["dsrl"]):
        cut(folder, 20_000.0 + seed)
    found = compare([*cells["grpo"], *cells["dsrl"]])
    assert [(arm.arm, len(arm.seeds)) for arm in found.arms] == [("grpo", 3), ("dsrl", 3)]
    assert difference(found, found.arms[1].arm, "avg@4").by_seeds is not None
    # A written budget is a part of what an arm is.
    shutil.copytree(study, tmp_path / "other")
    said = {**read_object(study / "study.json"), "budget": 20_000.0}
    write_object(study / "study.json", {key: value for key, value in said.items() if key != "seal"})
    assert len(compare([*cells["grpo"], *cells["dsrl"]]).arms) == 4


def cut(folder: Path, budget: float) -> None:
    plan = replace(read_plan(folder / "plan.json"), cut=Cut("generated_tokens", budget))
    (folder / "plan.json").write_text(replace(plan, digest=digest_of_plan(plan)).text(), encoding="utf-8")


def test_bases_that_change_with_the_seed_are_said_to_be_crossed(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"{made.arm}-{seed}", replace(made, seed=seed, model_seed=None))
        for made in (WEAK, STRONG)
        for seed in (0, 1)
    ]
    assert compare(runs).paired_on == "crosses bases and seeds: 2 bases, one for each seed"


def test_a_seed_without_a_partner_is_named_and_left_out(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"{made.arm}-{seed}", replace(made, seed=seed))
        for made, seeds in ((WEAK, (0, 1, 2)), (STRONG, (1, 2, 3)))
        for seed in seeds
    ]
    found = compare(runs)
    assert [arm.seeds for arm in found.arms] == [("seed 1", "seed 2")] * 2
    assert [what for what, _ in found.left_out] == ["1.0-0, seed 0", "2.0-3, seed 3"] or len(found.left_out) == 2
    assert "no run of it" in found.left_out[0][1]


def test_cells_that_are_not_finished_are_named(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    shutil.rmtree(copy / "cells/dsrl/seed-0")
    events = copy / "cells/null/seed-1/events.jsonl"
    events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:-1]))
    shutil.rmtree(copy / "cells/grpo/seed-2")
    (copy / "state.jsonl").unlink()
    append_lines(copy / "state.jsonl", [{"event": "fail", "cell": "grpo/2", "code": 5, "cause": "no memory"}], START)
    found = compare([copy])
    left_out = dict(found.left_out)
    assert left_out["dsrl, seed 0"] == "not begun"
    assert left_out["null, seed 1"] == "unfinished"
    assert left_out["grpo, seed 2"] == "failed: no memory"
    assert left_out["dsrl, seed 2"] == "grpo has no run of it"
    assert difference(found, "dsrl", "pass@1").values.keys() == {"seed 1"}
    assert found.notes[0] == "6 of 9 cells are finished: a look before the end, for which p does not allow"


def test_a_study_that_has_hardly_begun_names_its_missing_seeds_by_arm(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    for name in ("dsrl/seed-0", "dsrl/seed-1", "dsrl/seed-2", "null/seed-0", "null/seed-1", "null/seed-2"):
        shutil.rmtree(copy / "cells" / name)
    message = refused(copy)
    assert message.endswith(
        "fewer than two arms have a finished cell: dsrl, seeds 0 to 2: not begun; null, seeds 0 to 2: not begun"
    )
    assert seeds_in_words([7, 0, 2, 3, 5, 4]) == "seeds 0, 2 to 5, 7"
    assert seeds_in_words([3, 4]) == "seeds 3, 4"


def test_single_runs_are_compared_by_questions_alone(pair: tuple[Path, Path]) -> None:
    found = compare(pair)
    dsrl = difference(found, found.arms[1].arm, "avg@4")
    assert dsrl.by_seeds is None
    assert dsrl.claimed is dsrl.by_questions is not None
    assert dsrl.finding.code == "higher"


def test_the_number_of_responses_bounds_the_luck_of_questions(tmp_path: Path) -> None:
    made = [Made(arm=1.0, questions=4), Made(arm=2.0, questions=4, seed=5)]
    models = [write_model(tmp_path / str(one.arm), one) for one in made]
    only = compare(models, task="easy/pass@1").tables[0].differences[0].by_questions
    assert only is not None
    first, second = ([r.right / 4 for r in results_at(one, 0) if r.right is not None] for one in made)
    assert only.interval == paired_interval(first, second, num_samples=4)
    assert only.interval != paired_interval(first, second)
    assert only.p_value == paired_p_value(first, second, num_samples=4)


def test_any_k_up_to_the_samples_can_be_asked_for(pair: tuple[Path, Path]) -> None:
    found = compare(pair, task="easy/pass@2")
    assert [table.metric for table in found.tables] == ["pass@2"]
    avg, full = (compare(pair, task=f"easy/{metric}").tables[0].differences[0] for metric in ("pass@1", "pass@4"))
    between = found.tables[0].differences[0]
    for seed in between.values:
        assert avg.values[seed] < between.values[seed] < full.values[seed]
    assert refused(*pair, task="easy/pass@5") == "easy/pass@5: k is 5, and 4 responses a question were sampled"
    assert refused(*pair, task="easy/f1") == "easy has no metric f1"
    assert refused(*pair, task="hard") == "the runs have no scores of hard in common"


def test_each_file_of_questions_is_looked_at_once_however_many_scores_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [write_run(tmp_path / str(arm), Made(arm=arm, every=2, questions=5)) for arm in (1.0, 2.0)]
    looked_at: Counter[Path] = Counter()

    def counted(file: Path) -> dict[str, Any]:
        looked_at[file] += 1
        return read_header(file)

    monkeypatch.setattr("prerl_spec.evaluation.scores.question_results.read_header", counted)
    compare(folders, task="easy/pass@2")
    assert len(looked_at) == 2 * 11
    assert set(looked_at.values()) == {1}


def test_a_shorter_run_is_compared_at_its_own_end_on_every_axis(tmp_path: Path) -> None:
    whole = write_run(tmp_path / "whole", replace(WEAK, every=2))
    short = write_run(
        tmp_path / "short", replace(STRONG, steps=10, every=1, seconds=6.0, level=lambda step: 0.2 + 0.02 * step)
    )
    axes = compare([whole, short]).tables[0].differences[0].axes
    assert (axes["generated_tokens"].how, axes["generated_tokens"].amount) == ("curve", 10_000)
    assert (axes["updates"].how, axes["updates"].amount) == ("curve", 10)
    assert (axes["seconds"].how, axes["seconds"].amount) == ("curve", 40.0)
    ends = compare([whole, short]).tables[0].differences[0]
    assert ends.ends_alike == ()
    few = write_run(tmp_path / "few", replace(WEAK, arm=9.0, every=20, level=lambda step: 0.1))
    unknown = compare([few, short]).tables[0].differences[0]
    assert unknown.axes["updates"].how == "unknown"
    assert unknown.finding.words == (
        "higher, not claimed: the arms end alike on no axis, not known at equal generated tokens and updates"
    )


def test_a_last_score_whose_questions_are_gone_is_not_taken_for_an_earlier_one(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "dsrl"
    shutil.copytree(pair[1], copy)
    (copy / "evaluation/questions/refine-000010-easy.jsonl").unlink()
    last = difference(compare([pair[0], copy], task="easy/pass@2"), "dsrl", "pass@2")
    assert last.values == difference(compare(pair, task="easy/pass@2"), "dsrl", "pass@2").values
    (copy / "evaluation/questions/refine-000020-easy.jsonl").unlink()
    message = refused(pair[0], copy, task="easy/pass@2")
    assert message == (
        f"easy/pass@2: {copy} has kept no results of single questions at its last score, of step 20, to count it from"
    )


def test_where_a_task_has_no_curve_a_named_one_is_read(tmp_path: Path) -> None:
    folders = []
    for made in (replace(WEAK, every=20), replace(STRONG, every=20, seconds=3.0)):
        folder = write_run(tmp_path / str(made.arm), made)
        held_out = replace(made, task="curve")
        events = read(folder)
        scored = [evaluation(folder, held_out, "refine" if k else "base", k) for k in range(0, 21, 2)]
        write_events(folder / "events.jsonl", [scored[0], *events[:-1], *scored[1:], events[-1]])
        (folder / "scores.json").unlink()
        folders.append(folder)
    without = next(t for t in compare(folders).tables if t.task == "easy").differences[0]
    assert without.axes["seconds"].how == "unknown"
    assert "not known at equal seconds" in without.finding.words
    found = compare(folders, task="easy/pass@1", curve="curve/pass@1").tables[0].differences[0]
    assert (found.axes["seconds"].how, found.axes["seconds"].on) == ("curve", "curve/pass@1")
    assert found.axes["updates"] == without.axes["updates"]
    assert found.finding.words == "this checkpoint scores higher at equal generated tokens"
    assert refused(*folders, curve="other/pass@1") == "the runs have no scores of other/pass@1 in common"


def test_an_arm_that_collapses_is_told_beside_what_is_better_than_it(tmp_path: Path) -> None:
    falling = replace(WEAK, level=lambda step: 0.5 - 0.02 * step)
    folders = [write_run(tmp_path / "weak", falling), write_run(tmp_path / "strong", STRONG)]
    (note,) = compare(folders, task="easy/avg@4").notes
    assert re.fullmatch(
        r"every run ends worse than it was first scored, easy avg@4: weak: 0\.5\d\d at first, 0\.1\d\d at its end", note
    )
    assert compare([write_run(tmp_path / "level", WEAK), folders[1]]).notes == ()


def test_common_first_steps_are_not_counted(tmp_path: Path) -> None:
    # Ten steps with the same weights, then one more, and two more: on the whole 11 and 12, apart by less than a tenth.
    folders = [
        write_run(tmp_path / name, replace(made, steps=10 + more, every=1))
        for name, made, more in (("one", WEAK, 1), ("two", STRONG, 3))
    ]
    for folder in folders:
        change_events(folder, shared_until(10))
    at = compare(folders).tables[0].differences[0].axes["updates"]
    assert (at.how, at.amount) == ("curve", 1)


def test_scores_from_before_the_runs_parted_have_no_equal_amounts(tmp_path: Path) -> None:
    # Both were last scored at step 10, with the same weights, and parted at step 15.
    folders = [write_run(tmp_path / str(made.arm), made) for made in (WEAK, STRONG)]
    for folder in folders:
        change_events(folder, shared_until(15))
        events = [e for e in read(folder) if e["event"] != "evaluate" or e["global_step"] < 20]
        write_events(folder / "events.jsonl", events)
        write_scores(folder / "scores.json", [s for e in events if e["event"] == "evaluate" for s in e["scores"]])
    only = compare(folders).tables[0].differences[0]
    assert {at.how for at in only.axes.values()} == {"unknown"}
    assert only.ends_alike == ()


def test_runs_are_followed_back_to_where_they_were_started(tmp_path: Path) -> None:
    """grpo goes on from `pretrain` for 10 steps, dsrl from `prune`, which went on from `pretrain` for 4, for 6."""
    arms: dict[str, list[Path]] = {"grpo": [], "dsrl": []}
    for seed in (0, 1):
        own = replace(WEAK, seed=seed, every=1)
        pretrain = write_run(tmp_path / f"pretrain-{seed}", replace(own, arm=7.0, steps=30))
        prune = write_run(tmp_path / f"prune-{seed}", replace(own, arm=8.0, steps=4, start=pretrain))
        arms["grpo"].append(write_run(tmp_path / f"grpo-{seed}", replace(own, steps=10, start=pretrain)))
        arms["dsrl"].append(write_run(tmp_path / f"dsrl-{seed}", replace(own, arm=2.0, steps=6, start=prune)))
    found = compare([*arms["grpo"], *arms["dsrl"]])
    assert [arm.seeds for arm in found.arms] == [("seed 0", "seed 1")] * 2
    assert [(arm.amounts["steps"], arm.amounts["seconds"]) for arm in found.arms] == [(40, 80.0)] * 2
    only = found.tables[0].differences[0]
    assert {axis: (at.how, at.amount) for axis, at in only.axes.items()} == {
        "generated_tokens": ("ends", 10_000),
        "updates": ("ends", 10),
        "seconds": ("ends", 20.0),
    }
    for seed in (0, 1):
        shutil.rmtree(tmp_path / f"prune-{seed}")
    lost = compare([arms["grpo"][0], arms["dsrl"][0]]).tables[0].differences[0]
    assert {at.how for at in lost.axes.values()} == {"unknown"}


def shared_until(step: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(event: dict[str, Any]) -> dict[str, Any]:
        if event["event"] == "step" and event["global_step"] <= step:
            return {**event, "hashes": {"weights": f"common {event['global_step']}"}}
        return event

    return change


def change_events(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    events = [change(event) for event in read_lines(folder / "events.jsonl").entries]
    write_events(folder / "events.jsonl", events)


CONDITIONS = {
    "task_version": ("2", "task version is 1 in", "2 in"),
    "task_hash": ("ef56" * 16, "task hash is ab12ab12ab12 in", "ef56ef56ef56 in"),
    "template_hash": ("ef56" * 16, "template hash is cd34cd34cd34 in", "ef56ef56ef56 in"),
    "decoding": (
        {"temperature": 0.6, "top_p": 1.0},
        "decoding is temperature 1.0, top_p 1.0 in",
        "temperature 0.6, top_p 1.0 in",
    ),
    "seed": (8, "seed of the evaluation is 7 in", "8 in"),
}


@pytest.mark.parametrize("field", CONDITIONS)
def test_other_conditions_are_refused_with_the_field_and_both_values(field: str, tmp_path: Path) -> None:
    value, first, second = CONDITIONS[field]
    one = write_model(tmp_path / "one", Made())
    other = write_model(tmp_path / "other", Made(arm=2.0, conditions={field: value}))
    message = refused(one, other)
    assert message.startswith("easy cannot be compared: ")
    assert first in message
    assert second in message


def test_runs_of_other_seeds_are_told_to_be_of_one(tmp_path: Path) -> None:
    one, other = (write_model(tmp_path / name, Made(conditions={"seed": seed})) for name, seed in (("a", 7), ("b", 8)))
    with pytest.raises(UsageError) as error:
        compare([one, other])
    assert str(error.value.hint).startswith("a run scores with its run.seed: name runs of one seed, or score both")


def test_other_samples_and_another_limit_are_refused(tmp_path: Path) -> None:
    one = write_model(tmp_path / "one", Made())
    fewer = write_model(tmp_path / "fewer", Made(samples=2))
    limited = write_model(tmp_path / "limited", Made(questions=10))
    assert "samples a question is 4 in one and 2 in fewer" in refused(one, fewer)
    assert "number of questions (limit) is 40 in one and 10 in limited" in refused(one, limited)


def test_another_version_of_the_harness_is_told(tmp_path: Path) -> None:
    one = write_model(tmp_path / "one", Made())
    newer = write_model(tmp_path / "newer", Made(arm=2.0, conditions={"harness": "prerl-spec 0.2.0"}))
    assert compare([one, newer]).notes == ("easy was scored by prerl-spec 0.1.0 and prerl-spec 0.2.0",)


def test_what_differs_in_nothing_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = pair
    assert refused(first, second, first) == f"{first} and {first} differ in nothing"
    again = write_run(tmp_path / "again", WEAK)
    assert refused(first, again) == f"{first} and {again} differ in nothing"
    # Another text, and the same weights after every step: gradients that differ by a factor that the optimizer takes out.
    other = write_run(tmp_path / "other", replace(WEAK, arm=5.0))
    change_events(
        other, lambda e: {**e, "hashes": {"weights": f"1.0 0 {e['global_step']}"}} if e["event"] == "step" else e
    )
    assert refused(first, other) == "grpo and other differ in nothing: they end in the same weights"
    found = compare([first, other, second])
    assert [arm.arm for arm in found.arms] == ["grpo", "dsrl"]
    assert found.left_out == (("other", "it ends in the weights of grpo: the two differ in nothing"),)
    twins = compare([second, first, other])
    assert [arm.arm for arm in twins.arms] == ["dsrl", "grpo"]
    assert twins.left_out == found.left_out
    assert twins.family == found.family
    # One run each is a pair whatever the seeds, and the same weights are found there too.
    reseeded = write_run(tmp_path / "reseeded", replace(WEAK, arm=6.0, seed=3))
    change_events(
        reseeded, lambda e: {**e, "hashes": {"weights": f"1.0 0 {e['global_step']}"}} if e["event"] == "step" else e
    )
    assert refused(first, reseeded).endswith("differ in nothing: they end in the same weights")


def test_folders_of_another_kind_are_refused(pair: tuple[Path, Path], study: Path, tmp_path: Path) -> None:
    first, _ = pair
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("hello")
    model = write_model(tmp_path / "model", Made())
    assert refused(first, tmp_path / "empty").endswith("is empty")
    assert refused(first, tmp_path / "gone").endswith("does not exist")
    assert refused(first, tmp_path / "other").endswith(
        "is neither a run, nor a study's folder, nor one that `eval` has written"
    )
    assert refused(first, tmp_path / "other/notes.txt").endswith("is a file")
    assert refused(first, tmp_path).endswith(f"has written; in it are {tmp_path / 'model'}")
    assert refused(first, study / "cells").endswith(f"has written; it lies in the study's folder {study.resolve()}")
    assert "a run is compared with runs" in refused(first, model)
    assert refused(study, first) == f"{study} is a study's folder, and is compared alone"
    assert "needs two arms" in refused(first)
    assert "needs two arms" in refused(model)


def test_a_study_with_a_cell_of_another_study_is_refused(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    shutil.rmtree(copy / "cells/dsrl/seed-0")
    shutil.copytree(study / "cells/dsrl/seed-1", copy / "cells/dsrl/seed-0")
    assert "is a run of seed 1, and the study has seed 0 there" in refused(copy)
    shutil.rmtree(copy / "cells/dsrl/seed-0")
    shutil.copytree(study / "cells/grpo/seed-0", copy / "cells/dsrl/seed-0")
    said = {key: value for key, value in read_object(copy / "study.json").items() if key != "seal"}
    cut(copy / "cells/null/seed-0", 20_000.0)
    own = {cell["folder"]: read_plan(study / cell["folder"] / "plan.json").digest for cell in said["cells"]}
    cells = [{**cell, "digest": own[cell["folder"]], "continues": []} for cell in said["cells"]]
    write_object(copy / "study.json", {**said, "cells": cells})
    assert refused(copy) == f"{copy / 'cells/dsrl/seed-0'} is a run of another plan than the study has there"
    shutil.rmtree(copy / "cells/dsrl/seed-0")
    shutil.copytree(study / "cells/dsrl/seed-0", copy / "cells/dsrl/seed-0")
    assert compare([copy]).family == 2
    for cells, what in (
        ([], "has no cells"),
        ([{"arm": "grpo"}], "is no study's: a cell lacks folder, seed"),
        ([{"arm": "x", "seed": 0, "folder": "x"}], "is no study's: a cell is of arm x"),
    ):
        write_object(copy / "study.json", {**said, "cells": cells})
        assert what in refused(copy)
    write_object(tmp_path / "study.json", {"name": "x"})
    assert "is no study's" in refused(tmp_path)


def test_a_changed_byte_is_found_in_every_file_that_is_read(pair: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = pair
    copy = tmp_path / "dsrl"
    shutil.copytree(second, copy)
    questions = sorted((copy / "evaluation/questions").glob("refine-000020-*.jsonl"))
    for file in (copy / "plan.json", copy / "events.jsonl", copy / "scores.json", *questions):
        whole = file.read_bytes()
        file.write_bytes(whole.replace(b"1", b"2", 1) if b"1" in whole else whole[:-2])
        with pytest.raises(Damaged):
            compare([first, copy])
        file.write_bytes(whole)
    assert compare([first, copy]).family == 2


def test_tasks_without_results_of_questions_are_not_compared_by_questions(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"{made.arm}-{seed}", replace(made, seed=seed, keeps_questions=False))
        for made in (WEAK, STRONG)
        for seed in (0, 1)
    ]
    over_seeds = compare(runs).tables[0].differences[0]
    assert over_seeds.by_seeds is not None
    assert over_seeds.by_questions is None
    assert "has no results of single questions" in over_seeds.why_no_questions
    alone = compare(runs[::2]).tables[0].differences[0]
    assert alone.finding.words.startswith("one run each, no interval over questions either: tiny has no results")
    assert "no results of single questions to count it from" in refused(*runs[::2], task="easy/pass@2")


def test_a_task_that_only_some_runs_have_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    first, _ = pair
    more = replace(STRONG, arm=7.0, task="hard")
    both = write_run(tmp_path / "both", replace(STRONG, arm=7.0))
    rows = evaluation(both, more, "refine", 20)
    events = [*read(both)[:-1], rows, read(both)[-1]]
    write_events(both / "events.jsonl", events)
    write_scores(both / "scores.json", [s for e in events if e["event"] == "evaluate" for s in e["scores"]])
    found = compare([first, both])
    assert [table.task for table in found.tables] == ["easy", "easy"]
    assert found.left_out[0][0] == "hard"
    assert "no score after training in" in found.left_out[0][1]


def read(folder: Path) -> list[dict[str, Any]]:
    return list(read_lines(folder / "events.jsonl").entries)


def test_scores_of_the_base_alone_say_nothing_about_training(tmp_path: Path) -> None:
    folders = []
    for made in (WEAK, STRONG):
        folder = write_run(tmp_path / str(made.arm), made)
        events = [e for e in read(folder) if e["event"] != "evaluate" or e["phase"] == "base"]
        write_events(folder / "events.jsonl", events)
        write_scores(folder / "scores.json", [s for e in events if e["event"] == "evaluate" for s in e["scores"]])
        folders.append(folder)
    assert "no task that all runs were scored on: easy: no score after training" in refused(*folders)


def test_a_metric_that_comes_along_with_k_is_compared_only_where_it_is_asked_for(tmp_path: Path) -> None:
    folders = [write_model(tmp_path / str(made.arm), made) for made in (WEAK, STRONG)]
    before = compare(folders)
    for folder, made in zip(folders, (WEAK, STRONG), strict=True):
        scores = scores_at(folder, made, "base", 0)
        write_scores(folder / "scores.json", scores + [{**scores[0], "metric": f"{m}Pass@4"} for m in ("mG-", "G-")])
    found = compare(folders)
    assert [table.metric for table in found.tables] == [table.metric for table in before.tables]
    assert found.family == before.family
    assert [table.metric for table in compare(folders, task="easy/mG-Pass@4").tables] == ["mG-Pass@4"]


def test_folders_of_eval_without_a_common_task_are_told_nothing_of_training(tmp_path: Path) -> None:
    folders = [write_model(tmp_path / task, replace(WEAK, task=task)) for task in ("easy", "hard")]
    words = refused(*folders)
    assert "easy: no score in hard; hard: no score in easy" in words


def test_two_checkpoints_in_one_folder_of_eval_are_refused(tmp_path: Path) -> None:
    one = write_model(tmp_path / "one", Made())
    rows = [*scores_at(one, Made(), "base", 0), *scores_at(one, Made(), "refine", 20)]
    write_scores(one / "scores.json", rows)
    other = write_model(tmp_path / "other", Made(arm=2.0))
    assert "has scores of several checkpoints: base at step 0 and refine at step 20" in refused(one, other)


def test_models_are_compared_as_they_are(tmp_path: Path) -> None:
    models = [
        write_model(tmp_path / name / "eval", Made(arm=arm, level=level))
        for name, arm, level in (("weak", 1.0, lambda step: 0.2), ("strong", 2.0, lambda step: 0.7))
    ]
    found = compare(models)
    assert [arm.arm for arm in found.arms] == ["weak", "strong"]
    only = found.tables[0].differences[0]
    assert (only.axes, only.finding.code, found.paired_on) == ({}, "higher", "checkpoints as they are")


def test_a_model_that_is_compared_with_itself_is_said_to_have_the_same_weights(tmp_path: Path) -> None:
    models = [write_model(tmp_path / name, Made()) for name in ("one", "two")]
    found = compare(models)
    words = (
        "no difference: the same results on every question; the same weights, or questions that do not tell them apart"
    )
    assert [d.finding.words for table in found.tables for d in table.differences] == [words] * 2
    assert {d.finding.code for table in found.tables for d in table.differences} == {"none"}
    # Equal scores of other responses are no sign of equal weights.
    for file in (models[1] / "questions").glob("*.jsonl"):
        header, results = read_questions(file)
        write_questions(models[1], header, [replace(result, tokens=41) for result in results])
    longer = compare(models).tables[0].differences[0]
    assert longer.finding.words == "no detectable difference"


def test_two_models_with_the_same_results_have_no_spread(tmp_path: Path) -> None:
    models = [write_model(tmp_path / name, Made()) for name in ("one", "two")]
    only = compare(models).tables[0].differences[0].by_questions
    assert only is not None
    assert (only.interval.value, only.detectable) == (0.0, None)


def test_other_templates_are_compared_where_that_is_allowed_and_every_form_says_so(tmp_path: Path) -> None:
    one = write_model(tmp_path / "one", Made())
    other = write_model(tmp_path / "other", Made(arm=2.0, conditions={"template_hash": "ef56" * 16}))
    with pytest.raises(UsageError) as error:
        compare([one, other])
    assert str(error.value.hint).endswith("`--allow template` compares model and template together")
    found = compare([one, other], allowed=["template"])
    same = compare([one, write_model(tmp_path / "same", Made(arm=2.0))])
    assert found.tables[0].task == "easy (not the same template)"
    assert found.tables[0].conditions.endswith("template cd34cd34cd34 and ef56ef56ef56")
    assert any("a difference is one of model and template together" in note for note in found.notes)
    for form in (as_text, as_markdown, as_latex, as_json):
        assert "not the same template" in form(found)
        assert "not the same template" not in form(same)
    # The same questions under other ids: paired by their rows.
    own, expected = found.tables[0].differences[0].by_questions, same.tables[0].differences[0].by_questions
    assert own is not None
    assert own == expected
    assert "samples a question is 4 in one and 2" in refused(one, write_model(tmp_path / "few", Made(samples=2)))


def test_two_templates_of_one_folder_are_not_told_apart_by_allowing_them(tmp_path: Path) -> None:
    one = write_model(tmp_path / "one", Made())
    twice = write_model(tmp_path / "twice", Made(arm=2.0))
    rows = json.loads((twice / "scores.json").read_text(encoding="utf-8"))
    plain = [{key: value for key, value in row.items() if key not in ("check", "chain")} for row in rows]
    write_scores(twice / "scores.json", [*plain, *({**row, "template_hash": "ef56" * 16} for row in plain)])
    with pytest.raises(UsageError, match="easy was scored under two templates in one folder"):
        compare([one, twice], allowed=["template"])
