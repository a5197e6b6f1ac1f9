"""Single questions in the report: pass@k, the heat map, what changed most, and folders of `eval`."""

import json
import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from prerl_spec.errors import UsageError
from prerl_spec.evaluation.scores.question_results import QuestionResult
from prerl_spec.report.drawing.heat_map import Strip, heat_map, shade
from prerl_spec.report.page import question_cards
from prerl_spec.report.page.page import write_report
from prerl_spec.report.page.question_cards import sizes
from prerl_spec.report.tables.arms import arms_of
from prerl_spec.report.tables.eval_folders import read_folders
from prerl_spec.report.tables.evaluated import most_changed
from prerl_spec.report.tables.question_grids import Grid, question_grids
from prerl_spec.statistics.pass_at_k import pass_at_k
from tests.comparison.runs import Made, results_at, write_model, write_run
from tests.once import made_once
from tests.report.test_page import Elements
from tests.run_files import write_object


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and three folders of `eval`. Not to be changed."""

    def make(folder: Path) -> None:
        write_run(folder / "run", Made())
        for n in range(3):
            write_model(folder / "evals" / f"checkpoint-{n}", Made(seed=n, level=lambda step, n=n: 0.2 + 0.2 * n))  # type: ignore[misc]

    return made_once(tmp_path_factory, "reported-questions", make)


def grids(*folders: Path) -> list[Grid]:
    return question_grids(arms_of(read_folders(folders)))


def test_the_curve_of_a_place_is_pass_at_k_of_its_questions(folders: Path) -> None:
    (grid,) = grids(folders / "run")
    (drawn,) = question_cards.pass_curves([grid])
    readings = json.loads(str(Elements(drawn).found[0][1]["data-curves"]))
    assert [label for label, _ in readings] == ["base", "refine"]
    rights = [r.right or 0 for r in results_at(Made(), 20)]
    expected = [fmean(pass_at_k(right, 4, k) for right in rights) for k in (1, 2, 4)]
    assert [float(value) for _, value in readings[1][1]] == pytest.approx(expected, abs=5e-4)
    assert [k for k, _ in readings[1][1]] == [1, 2, 4]


@pytest.mark.parametrize(("num_samples", "ks"), [(1, [1]), (2, [1, 2]), (12, [1, 2, 4, 8, 12]), (16, [1, 2, 4, 8, 16])])
def test_the_sizes_of_a_curve_end_with_the_samples(num_samples: int, ks: list[int]) -> None:
    assert sizes(num_samples) == ks


def test_the_map_has_a_strip_a_place_and_a_column_a_question_the_easiest_first(folders: Path) -> None:
    (grid,) = grids(folders / "run")
    first, last = (grid.share_Q(place) for place in grid.places)
    means = [(a or 0) + (b or 0) for a, b in zip(first, last, strict=True)]
    assert means == sorted(means, reverse=True)
    assert dict(zip(grid.questions, last, strict=True)) == {
        r.question: (r.right or 0) / 4 for r in results_at(Made(), 20)
    }


def test_never_and_always_have_shades_of_their_own() -> None:
    assert [shade(share) for share in (0.0, 0.001, 0.5, 0.999, 1.0)] == [0, 1, 4, 7, 8]
    drawn = heat_map("t", "", [Strip("p", (1.0, 1.0, 0.5, None, 0.0))], range(5), "")
    assert re.findall(r'<path d="([^"]+)" class="heat h(\d)"', drawn) == [("M2 0H3V1H2Z", "4"), ("M0 0H2V1H0Z", "8")]
    assert "4 questions, 2 always right, 1 never" in drawn


def test_what_moved_is_counted_between_places(folders: Path) -> None:
    (grid,) = grids(folders / "run")
    (card,) = question_cards.heat_maps([grid])
    shares = list(zip(*(grid.share_Q(place) for place in grid.places), strict=True))
    rose = sum((b or 0) > (a or 0) for a, b in shares)
    fell = sum((b or 0) < (a or 0) for a, b in shares)
    row = re.findall(r'<tr><th scope="row">base → refine</th>(.*?)</tr>', card)[0]
    assert re.findall(r">([^<]+)</td>", row)[:3] == ["40", str(rose), str(fell)]


def test_the_questions_that_changed_most_show_a_wrong_and_then_a_right_response(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", Made())
    for step, phase in ((0, "base"), (20, "refine")):
        lines = [
            {"question": r.row, "input": f"what is {r.row}?", "gold": str(r.row), "response": f"{phase} {r.row} {n}",
             "tokens": 5, "stop": "eos", "verdict": "right" if n < (r.right or 0) else "wrong", "answer": "1", "detail": ""}
            for r in results_at(Made(), step) for n in range(4)
        ]  # fmt: skip
        samples = run / "evaluation" / "samples"
        samples.mkdir(exist_ok=True)
        (samples / f"{phase}-{step:06d}-easy.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    (grid,) = grids(run)
    changes = most_changed(grid)
    assert [change.second > change.first for change in changes] == [True, True, False, False]
    largest = max((b or 0) - (a or 0) for a, b in zip(*(grid.share_Q(p) for p in grid.places), strict=True))
    assert changes[0].second - changes[0].first == largest
    rise, fall = changes[0].responses, changes[-1].responses
    assert [a.outcome for a in rise if a is not None] == ["wrong", "right"]
    assert [a.outcome for a in fall if a is not None] == ["right", "wrong"]
    page = write_report([run]).read_text(encoding="utf-8")
    assert f"what is {changes[0].row}?" in page[page.index("<h2>Changed most") :]


def test_a_question_is_not_shown_where_its_responses_were_not_kept(folders: Path) -> None:
    assert most_changed(grids(folders / "run")[0]) == []


def test_the_folders_of_eval_share_axes_curves_and_a_map(folders: Path, tmp_path: Path) -> None:
    models = sorted((folders / "evals").iterdir())
    page = write_report(models, tmp_path / "page.html").read_text(encoding="utf-8")
    text = " ".join("".join(Elements(page).text).split())
    assert "3 scored models" in text
    labels = re.findall(r"data-labels='?\"?([^>]*?)\" data-rows", page)
    assert [name in labels[0] for name in ("checkpoint-0", "checkpoint-1", "checkpoint-2")] == [True] * 3
    assert page.count("<strong>easy: pass@k</strong>") == 1
    assert "Sampled phases" not in page
    assert "Audit" not in page


def test_a_folder_of_several_models_is_each_of_them(folders: Path) -> None:
    assert [record.name for record in read_folders([folders / "evals"])] == [f"checkpoint-{n}" for n in range(3)]


def test_several_models_stand_in_the_order_in_which_they_were_scored(tmp_path: Path) -> None:
    for n in range(3):
        write_model(tmp_path / f"checkpoint-{n}", Made(seed=n))
    named = [{"folder": f"checkpoint-{n}", "target": "t"} for n in (2, 0, 1)]
    write_object(tmp_path / "models.json", {"format": 1, "models": named})
    assert [record.name for record in read_folders([tmp_path])] == ["checkpoint-2", "checkpoint-0", "checkpoint-1"]


def test_what_a_model_may_have_seen_is_a_warning(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", Made())
    seen = {
        "task": "easy",
        "overlapping_questions": 2,
        "of": 40,
        "published": "2024",
        "cut_off": None,
        "published_by_cut_off": None,
    }
    known = {**seen, "task": "hard", "overlapping_questions": 0, "cut_off": "2025", "published_by_cut_off": True}
    write_object(folder / "contamination.json", {"format": 1, "tasks": [seen, known]})
    assert read_folders([folder])[0].warnings == (
        "easy: 2 of 40 questions stand in the training rows",
        "hard: published 2024, by the model's cut-off 2025",
    )


def test_a_folder_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a run folder: it has no events.jsonl, and no scores.json"):
        read_folders([tmp_path])


def test_a_task_whose_values_are_no_shares_has_no_map(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = read_folders([folders / "run"])[0]

    def unbounded(self: QuestionResult, metric: str) -> float:
        return 2.0

    monkeypatch.setattr(QuestionResult, "value", unbounded)
    assert question_grids(arms_of([replace(record)])) == []


def test_an_install_without_scipy_has_a_page_without_these_intervals(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prerl_spec.report.tables.intervals.find_spec", lambda name: None)
    page = write_report([folders / "run"], tmp_path / "page.html").read_text(encoding="utf-8")
    chart = page[page.index("<strong>easy: pass@k") :]
    assert "envelope" not in chart[: chart.index("</figure>")]
    assert "the interval needs scipy" in page
