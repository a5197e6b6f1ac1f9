"""The page of a comparison: whole, self-contained, with text for everything that is drawn."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from prerl_spec.comparison.compare import compare
from prerl_spec.comparison.equal_amounts import AtEqual
from prerl_spec.comparison.findings import Comparison
from prerl_spec.comparison.page.page import render, write_page
from prerl_spec.comparison.scored_run import AXES
from prerl_spec.report.drawing.interval_rows import Row, interval_rows
from tests.report.runs import HOSTILE
from tests.report.test_browser import BROWSER, sizes
from tests.report.test_page import Elements


def test_every_drawing_has_words(found: Comparison) -> None:
    elements = Elements(render(found))
    drawings = [a for name, a in elements.found if name == "svg" and a.get("aria-hidden") != "true"]
    assert len(drawings) == 2 * (4 + 1)
    assert all(a["role"] == "img" and a["aria-label"] for a in drawings)
    first = str(drawings[0]["aria-label"])
    assert re.fullmatch(r"dsrl over 3 seeds: \+0\.\d{3} \[\S+, \S+\]", first)


def test_nothing_is_asked_from_outside_and_nothing_hostile_is_run(found: Comparison) -> None:
    tables = tuple(
        replace(t, task=HOSTILE, differences=tuple(replace(d, arm="dsrl", task=HOSTILE) for d in t.differences))
        for t in found.tables
    )
    page = render(replace(found, title=HOSTILE, tables=tables, left_out=((HOSTILE, HOSTILE),)))
    elements = Elements(page)
    assert not elements.names() & {"img", "link", "iframe", "object", "embed"}
    assert sum(name == "script" for name, _ in elements.found) == 1
    assert not [a for _, attributes in elements.found for a in attributes if a.startswith("on") or a == "style"]
    assert "url(" not in page
    policy = next(a["content"] for n, a in elements.found if n == "meta" and "http-equiv" in a)
    assert str(policy).startswith("default-src 'none'")


def test_the_findings_of_the_primary_stand_first(found: Comparison) -> None:
    page = render(found)
    findings = page[page.index("<h2>Findings") : page.index("<h2>Differences")]
    assert re.findall(r'<b class="(\w+)">([^<]+)', findings) == [
        ("better", "better at equal generated tokens"),
        ("worse", "worse at equal generated tokens"),
    ]
    assert "p after Holm over 2 comparisons" in findings


def test_a_difference_lies_between_its_bounds_and_zero_is_drawn() -> None:
    rows = [Row("a", "over 3 seeds", 0.1, 0.05, 0.2, "+0.100"), Row("b", "", -0.1, -0.2, 0.0, "-0.100")]
    plot = interval_rows("d", rows, zero=True)
    low, high = map(float, re.findall(r'x1="([\d.]+)%" x2="([\d.]+)%" y1="50%"', plot)[0])
    centre = float(re.findall(r'cx="([\d.]+)%"', plot)[0])
    zero = float(re.findall(r'x1="([\d.]+)%"[^>]*class="zero"', plot)[0])
    assert 6 <= zero < low < centre < high <= 94
    assert plot.count('class="zero"') == 2


def test_the_margin_is_drawn_around_zero_and_stays_on_the_page(study: Path) -> None:
    rows = [Row("a", "over 3 seeds", 0.1, 0.05, 0.2, "+0.100")]
    plot = interval_rows("d", rows, zero=True, margin=0.05)
    left, width = map(float, re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"[^>]*class="margin"', plot)[0])
    zero = float(re.findall(r'x1="([\d.]+)%"[^>]*class="zero"', plot)[0])
    low = float(re.findall(r'x1="([\d.]+)%" x2="[\d.]+%" y1="50%"', plot)[0])
    assert left + width / 2 == pytest.approx(zero, abs=0.02)
    assert left + width == pytest.approx(low, abs=0.02)
    wide = interval_rows("d", rows, zero=True, margin=50.0)
    assert re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"', wide)[0] == ("0.00", "100.00")
    page = render(compare([study], margin=0.02))
    assert "shaded: within ± 0.02" in page
    assert 'class="margin"' in page
    assert 'class="margin"' not in render(compare([study]))


def test_a_name_is_written_whole() -> None:
    name = "an-arm-with-a-name-that-is-much-longer-than-any-column-of-the-page"
    assert f"{name}</p>" in interval_rows("d", [Row(name, "", 0.1, 0.0, 0.2, "")])


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_and_every_text_of_a_drawing_is_readable(
    found: Comparison, tmp_path: Path, width: int
) -> None:
    long = "an-arm-with-a-name-that-is-much-longer-than-any-column-of-the-page"
    axes = {axis: AtEqual("curve", -0.0581, 36.6, on=f"{long}/avg@2") for axis in AXES}
    tables = tuple(
        replace(t, task=long, differences=tuple(replace(d, axes=axes) for d in t.differences)) for t in found.tables
    )
    page = tmp_path / "page.html"
    write_page(replace(found, title=long, tables=tables), page)
    measured = sizes(page, tmp_path, width)
    assert measured.scroll_width <= measured.client_width
    assert measured.hidden == 0
    assert measured.least_text >= 11
