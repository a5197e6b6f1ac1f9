"""The page: whole, self-contained, and deaf to what responses would like it to do."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from prerl_spec.report.drawing.frame import NARROW, placed
from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.drawing.plots import Curve, curve_chart
from prerl_spec.report.page.page import render, write_report
from prerl_spec.report.tables.run_tables import Stretch, read_run
from tests.report.runs import HOSTILE, score, write_run
from tests.run_files import score_again

VOID = {"meta", "br", "hr"}


class Elements(HTMLParser):
    """Every element and attribute; asserts that each opened one is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, text: str) -> None:
        self.text.append(text)

    def names(self) -> set[str]:
        return {name for name, _ in self.found}


@pytest.fixture
def page(run_folder: Path) -> str:
    return render([read_run(run_folder)])


def test_a_hostile_response_stays_text(page: str) -> None:
    elements = Elements(page)
    assert "img" not in elements.names()
    assert sum(name == "script" for name, _ in elements.found) == 1
    assert not [a for _, attributes in elements.found for a in attributes if a.startswith("on") or a == "style"]
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert shown in "".join(elements.text)


def test_hostile_names_stay_text_too(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", name=HOSTILE)
    row = score("base", 0, HOSTILE, HOSTILE, 0.5, 0, 0) | {"harness": HOSTILE, "decoding": {HOSTILE: HOSTILE}}
    score_again(folder, [row])
    elements = Elements(render([read_run(folder)]))
    assert "img" not in elements.names()
    assert sum(name == "script" for name, _ in elements.found) == 1


def test_attributes_cannot_be_left() -> None:
    assert tag("p", '<"&', title='"><script>') == '<p title="&quot;&gt;&lt;script&gt;">&lt;"&amp;</p>'
    assert tag("p", Html("<b></b>"), None, hidden=True, lang=None) == "<p hidden><b></b></p>"
    assert tag("p", "\x00\ud800") == "<p>\\x00\\ud800</p>"


def test_nothing_is_asked_from_outside(page: str) -> None:
    elements = Elements(page)
    assert not elements.names() & {"link", "iframe", "object", "embed", "base", "audio", "video"}
    assert not [a for _, attributes in elements.found for a in attributes if a in ("src", "href", "srcset", "action")]
    assert "@import" not in page
    assert "url(" not in page
    policy = next(a["content"] for n, a in elements.found if n == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_every_promised_curve_is_there(page: str) -> None:
    titles = re.findall(r'<figure class="chart"[^>]*><figcaption><strong>([^<]+)', page)
    assert titles[:7] == [
        "Reward",
        "Verdicts",
        "Groups with signal",
        "Response length",
        "Entropy",
        "Log-probability of responses",
        "Gradient norm",
    ]
    assert titles[-2:] == ["Loss", "Gradient norm"]
    assert "Thoughts" in titles
    assert "sampler gap 1e-6" in page
    assert page.index("<strong>Reward") < page.index("<strong>Loss")


def test_phase_boundaries_are_drawn_and_named_where_the_phase_lies(page: str) -> None:
    reward = page[page.index("<strong>Reward") :]
    reward = reward[: reward.index("</figure>")]
    assert re.findall(r'class="phase">(\w+)', reward) == ["prune", "refine"]
    assert reward.count('class="boundary"') == 1


def test_each_score_states_how_it_was_made(page: str) -> None:
    text = " ".join("".join(Elements(page).text).split())
    for statement in (
        "n = 128 questions × 16 samples = 2048; seed 0",
        "temperature 1.0",
        "lm-eval 0.4.13; task version 1.0, hash ab12ab12ab12; template cd34cd34cd34",
        "0.640 [0.605, 0.675]",
    ):
        assert statement in text


def test_thoughts_come_with_the_ratio_to_the_starting_model_and_the_rule_set(page: str) -> None:
    text = "".join(Elements(page).text)
    assert "0.195 (0.54×)" in text
    assert "ratio to the initial model (global step 61). Rule set: seal." in text


def test_samples_of_the_first_and_last_step_of_each_sampled_phase_can_be_read(page: str) -> None:
    text = "".join(Elements(page).text)
    for step in ("prune step 1, global step 61", "prune step 15, global step 75", "refine step 45, global step 120"):
        assert step in text
    assert re.findall(r'badge v-(\w+)"', page)[:6] == ["right", "right", "wrong", "wrong", "unparsable", "unparsable"]


def test_a_run_of_ten_thousand_steps_is_thinned_and_says_so(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run"))
    later = [replace(run.steps[k % 30 + 80], global_step=k, phase="refine") for k in range(121, 10_121)]
    page = render([replace(run, steps=(*run.steps, *later))])
    assert "line: mean of each bin; band: minimum to maximum" in page
    assert "shares are means of each bin" in page
    assert len(page) < 700_000


def test_a_run_that_has_only_begun_still_has_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "young"
    folder.mkdir()
    (folder / "events.jsonl").write_text("", encoding="utf-8")
    page = write_report([folder]).read_text(encoding="utf-8")
    assert "no step yet, not finished" in page
    assert "No scores yet." in page


def test_several_runs_share_drawings_and_are_told_apart(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, seed=seed) for seed, name in enumerate(("a", "b"))]
    page = write_report(folders, tmp_path / "both.html").read_text(encoding="utf-8")
    Elements(page)
    reward = page[page.index("<strong>Reward") :]
    assert re.findall(r"</svg> (\w+) <b>", reward[: reward.index("</figure>")]) == ["a", "b"]
    assert re.findall(r'class="who">(\w+)|class="gap"><span class="unit">(\w+)', page)[:6] == [
        ("base", ""), ("", "a"), ("", "b"), ("pretrain", ""), ("", "a"), ("", "b"),
    ]  # fmt: skip


def test_the_page_lies_in_the_run_folder_or_for_several_here(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_report([run_folder]) == run_folder / "report.html"
    assert write_report([run_folder, run_folder]).resolve() == (tmp_path / "report.html").resolve()
    assert not [f for f in run_folder.iterdir() if f.name.startswith(".")]


def test_what_was_scored_within_phases_becomes_a_curve_and_the_phase_keeps_its_last_value(run_folder: Path) -> None:
    values = {0: 0.1, 70: 0.3, 75: 0.35, 90: 0.5, 120: 0.6}
    phases = {0: "base", 70: "prune", 75: "prune", 90: "refine", 120: "refine"}
    rows = [score(phases[step], step, "heldout", "avg@4", value, step, step) for step, value in values.items()]
    score_again(run_folder, rows)
    page = render([read_run(run_folder)])
    curve = page[page.index("<strong>heldout: avg@4") :]
    curve = curve[: curve.index("</figure>")]
    assert "0.1 → 0.6" in curve
    assert "band: 95 % interval" in curve
    assert curve.count('class="envelope c0"') == 1
    rows_shown = re.findall(r'<tr><th scope="row">(\w+)</th><td data-label="avg@4">(0\.\d+) \[', page)
    assert rows_shown == [("base", "0.100"), ("prune", "0.350"), ("refine", "0.600")]


def test_a_line_breaks_over_a_phase_that_did_not_measure() -> None:
    curve = Curve("entropy", (1, 2, 9, 10), (0.1, 0.2, 0.3, 0.4))
    phases = [Stretch("a", 1, 2, True), Stretch("documents", 3, 8, False), Stretch("b", 9, 10, True)]
    drawn = curve_chart("Entropy", "nats", [curve], phases)
    line = re.findall(r'<path d="([^"]+)" class="line c0">', drawn)[-1]
    assert (line.count("M"), line.count("L")) == (2, 2)


def test_a_count_without_a_start_has_no_ratio(run_folder: Path) -> None:
    run = read_run(run_folder)
    silent = [
        replace(s, metrics={**s.metrics, "thoughts/thoughts_reflection": 0.0})
        for s in run.steps
        if s.phase != "pretrain"
    ]
    assert "0.000 (-)" in "".join(Elements(render([replace(run, steps=tuple(silent))])).text)


def test_the_readings_of_a_curve_are_json_whatever_it_is_called() -> None:
    drawn = curve_chart("Entropy", "nats", [Curve('a\x7f\x9b\u202e\ud800"\\', (1, 2), (0.1, 0.2))], [])
    readings = Elements(drawn).found[0][1]["data-curves"]
    assert readings is not None
    assert json.loads(readings) == [['a\\x7f\\x9b\\u202e\\ud800"\\', [[1, "0.1"], [2, "0.2"]]]]


def test_phases_are_named_over_several_runs_only_where_they_agree(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run"))
    shorter = replace(run, steps=run.steps[:70])
    moved = replace(run, steps=tuple(replace(s, phase="prune" if s.phase == "refine" else s.phase) for s in run.steps))
    assert 'class="phase">prune' in render([run, shorter])
    assert 'class="phase">' not in render([run, moved])


@pytest.mark.parametrize("shares", [[0.25, 0.9, 0.95], [0.01, 0.02, 0.03], [0.1, 0.5, 0.9]])
def test_phase_names_neither_cover_each_other_nor_leave_the_drawing(shares: list[float]) -> None:
    names = ["pretrain", "prune", "refine"]
    places = placed(shares, names)
    assert places is not None
    ends = [
        (place * NARROW - 3.3 * len(n), place * NARROW + 3.3 * len(n)) for n, place in zip(names, places, strict=True)
    ]
    assert ends[0][0] >= 0
    assert ends[0][1] <= ends[1][0]
    assert ends[1][1] <= ends[2][0]
    assert ends[2][1] <= NARROW


def test_a_name_with_room_stands_in_the_middle() -> None:
    assert placed([0.5], ["prune"]) == [0.5]


def test_phase_names_that_do_not_fit_are_numbered_and_written_whole_below() -> None:
    names = [f"a-phase-with-a-long-name-{n}" for n in range(4)]
    phases = [Stretch(name, 10 * n + 1, 10 * n + 10, samples=True) for n, name in enumerate(names)]
    drawn = curve_chart("Entropy", "nats", [Curve("entropy", tuple(range(1, 41)), (0.5,) * 40)], phases)
    assert re.findall(r'class="phase">(\w+)', drawn) == ["1", "2", "3", "4"]
    assert "1 a-phase-with-a-long-name-0, 2 a-phase-with-a-long-name-1, " in drawn
