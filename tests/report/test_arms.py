"""Runs that differ in their seeds only are drawn as one: a mean, a spread, one axis."""

import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from prerl_spec.report.page.curves import arm_curve
from prerl_spec.report.page.page import render
from prerl_spec.report.page.score_cards import score_cards
from prerl_spec.report.tables.arms import arms_of
from prerl_spec.report.tables.run_tables import RunRecord, read_run
from tests.comparison.runs import Made, write_run
from tests.once import made_once
from tests.report.test_page import Elements

LONG = "quickstart-with-a-name-that-is-much-longer-than-any-column-of-the-page"


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of one arm, and one run of another. Not to be changed."""

    def make(folder: Path) -> None:
        for seed in range(3):
            made = Made(seed=seed, name=LONG, level=lambda step, seed=seed: 0.2 + 0.1 * seed + 0.02 * step)  # type: ignore[misc]
            write_run(folder / f"seed-{seed}", made)
        write_run(folder / "other", Made(arm=2.0, name="other"))

    return made_once(tmp_path_factory, "reported-seeds", make)


@pytest.fixture
def seeds(folders: Path) -> list[RunRecord]:
    return [read_run(folders / f"seed-{seed}") for seed in range(3)]


def test_runs_that_differ_in_their_seeds_are_one_arm_and_others_are_not(folders: Path, seeds: list[RunRecord]) -> None:
    arms = arms_of([seeds[0], read_run(folders / "other"), *seeds[1:]])
    assert [(arm.name, arm.labels) for arm in arms] == [
        (LONG, ("seed 0", "seed 1", "seed 2")),
        ("other", ("seed 0",)),
    ]


def test_a_run_given_twice_is_told_apart_by_its_folder(seeds: list[RunRecord]) -> None:
    (arm,) = arms_of([seeds[0], seeds[0]])
    assert arm.labels == (f"seed 0 ({seeds[0].folder})",) * 2


def test_seeds_of_fresh_weights_are_told_where_run_seed_does_not_tell_the_runs_apart(tmp_path: Path) -> None:
    runs = [read_run(write_run(tmp_path / str(n), Made(seed=1, model_seed=n))) for n in range(2)]
    (arm,) = arms_of(runs)
    assert arm.labels == ("seed 1 with model.seed 0", "seed 1 with model.seed 1")


def test_the_curve_of_an_arm_is_the_mean_of_its_seeds_with_their_least_and_most(seeds: list[RunRecord]) -> None:
    (arm,) = arms_of(seeds)
    curve = arm_curve(arm, "reward_mean", "reward", samples=True)
    assert curve is not None
    at = [[run.steps[n].metrics["reward_mean"] for run in seeds] for n in range(20)]
    assert curve.ys == pytest.approx([fmean(values) for values in at])
    assert curve.bounds == tuple((min(values), max(values)) for values in at)


def test_a_seed_that_is_not_finished_ends_the_mean_where_it_ends(seeds: list[RunRecord]) -> None:
    (arm,) = arms_of([seeds[0], replace(seeds[1], steps=seeds[1].steps[:12])])
    curve = arm_curve(arm, "reward_mean", "reward", samples=True)
    assert curve is not None
    assert curve.xs == tuple(range(1, 13))


def test_three_seeds_share_a_card_an_axis_and_a_score(seeds: list[RunRecord]) -> None:
    page = render(seeds)
    text = " ".join("".join(Elements(page).text).split())
    assert f"{LONG}, 3 seeds" in text
    assert page.count("<strong>Reward</strong>") == 1
    assert "band: least to most of the seeds" in text
    last = [run.scores[-2].value for run in seeds]
    mean = f"{fmean(last):.3f} ({min(last):.3f} to {max(last):.3f})"
    assert mean in text
    card = page[page.index("<h2>Scores") : page.index("<h2>Scores during")]
    assert len(re.findall(r"<article", card)) == 1
    assert len(re.findall(r'class="one c0"', card)) == 3 * 2 * 2


def test_names_stand_whole_wherever_they_stand(folders: Path, seeds: list[RunRecord]) -> None:
    page = render([*seeds, read_run(folders / "other")])
    assert "…" not in page
    assert f'<span class="unit">{LONG}, 3 seeds</span>' in page


def test_evaluations_of_other_seeds_of_their_own_stay_one_card(seeds: list[RunRecord]) -> None:
    runs = [
        replace(run, scores=tuple(replace(score, seed=number) for score in run.scores))
        for number, run in enumerate(seeds)
    ]
    page = render(runs)
    card = page[page.index("<h2>Scores") : page.index("<h2>Scores during")]
    assert len(re.findall(r"<article", card)) == 1
    assert "seeds 0, 1, 2" in card


def test_of_many_metrics_one_of_each_family_is_drawn_and_each_is_in_the_table_once(folders: Path) -> None:
    run = read_run(folders / "other")
    names = ["avg@16", *(f"{name}@{k}" for name in ("pass", "maj") for k in (1, 4, 16)), "G-Pass@16_0.5"]
    scores = tuple(replace(run.scores[-1], metric=name, samples_per_question=16) for name in names)
    (card,) = score_cards(arms_of([replace(run, scores=scores)]))
    assert re.findall(r'<figcaption class="unit">(\S+), ', card) == ["avg@16", "pass@16", "maj@16"]
    assert re.findall(r'<th scope="col">([^<]+)', card)[1:8] == [name for name in names if name != "pass@1"], (
        "it is avg@16 in other words"
    )
