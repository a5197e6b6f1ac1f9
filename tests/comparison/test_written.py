"""The forms of a comparison: JSON with documented keys, Markdown that parses, LaTeX that compiles, text for a terminal."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from prerl_spec.comparison.compare import compare
from prerl_spec.comparison.findings import Comparison, Estimate
from prerl_spec.comparison.page.page import render
from prerl_spec.comparison.written.json_form import as_json
from prerl_spec.comparison.written.paper_tables import as_latex, as_markdown
from prerl_spec.comparison.written.text import as_text
from prerl_spec.comparison.written.words import interval_words, signed
from prerl_spec.statistics.intervals import Interval
from tests.comparison.runs import Made, write_model

STRANGE = r"50%_of $x^2$ & {a}~#1|b\c<d>"
DOCS = Path(__file__).parent.parent.parent / "docs" / "compare.md"


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    root = tmp_path_factory.mktemp("strange")
    models = [write_model(root / name, Made(arm=arm)) for arm, name in ((1.0, "plain"), (2.0, "other"))]
    made = compare(models)
    tables = tuple(
        replace(t, task=STRANGE, differences=tuple(replace(d, arm=STRANGE, task=STRANGE) for d in t.differences))
        for t in made.tables
    )
    return replace(made, tables=tables, title=STRANGE)


def test_json_says_all_that_the_text_says(found: Comparison) -> None:
    read = json.loads(as_json(found))
    assert read["format"] == 1
    assert (read["baseline"], read["primary"], read["family"]) == ("grpo", "easy/pass@1", 2)
    first = read["tables"][0]
    dsrl = first["arms"][0]
    estimate = found.tables[0].differences[0].by_seeds
    assert estimate is not None
    assert dsrl["over_seeds"] == {
        "unit": "seeds",
        "count": 3,
        "difference": estimate.interval.value,
        "low": estimate.interval.low,
        "high": estimate.interval.high,
        "p": estimate.p_value,
        "detectable": estimate.detectable,
    }
    assert dsrl["finding"] == {"code": "better", "words": "better at equal generated tokens"}
    assert dsrl["at_equal"].keys() == {"generated_tokens", "updates", "seconds"}
    assert [curve["arm"] for curve in first["curves"]] == ["grpo", "dsrl", "null"]


def test_the_documentation_names_every_key_of_the_json(found: Comparison) -> None:
    text = DOCS.read_text(encoding="utf-8")

    def keys(value: object, path: str) -> set[str]:
        if isinstance(value, list):
            return set().union(*(keys(item, path) for item in value)) if value else set()
        if not isinstance(value, dict):
            return set()
        if path in ("by_seed", "baseline_by_seed"):
            return set()
        return set(value).union(*(keys(inner, key) for key, inner in value.items()))

    missing = {key for key in keys(json.loads(as_json(found)), "") if f"`{key}`" not in text}
    assert not missing


def test_every_form_says_the_margin_and_what_lies_where(study: Path) -> None:
    found = compare([study], margin=0.02)
    for written in (as_text(found), as_markdown(found), as_latex(found), render(found)):
        assert "better at equal generated tokens; beyond the margin" in written
        assert re.search(r"argin (±|\$\\pm\$) 0.02 \(in units of the score\)", written)
    told = json.loads(as_json(found))
    assert told["margin"] == 0.02
    assert [arm["margin"] for arm in told["tables"][0]["arms"]] == ["beyond", "beyond"]


def test_markdown_has_one_width_whatever_the_names(found: Comparison, strange: Comparison) -> None:
    for comparison in (found, strange):
        lines = [line for line in as_markdown(comparison).splitlines() if line.startswith("|")]
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in lines}
        assert len(widths) == 1
        assert set(re.split(r"(?<!\\)\|", lines[1])[1:-1]) == {" --- "}
    assert "| dsrl |" in as_markdown(found)
    assert r"50%\_of" in as_markdown(strange)


def test_latex_escapes_every_sign_and_has_as_many_cells_as_columns(found: Comparison, strange: Comparison) -> None:
    for comparison in (found, strange):
        written = as_latex(comparison)
        columns = re.search(r"\\begin\{tabular\}\{@\{\}(.*)@\{\}\}", written)
        assert columns is not None
        width = len(re.findall(r"p\{[^}]*\}|[lr]", columns[1]))
        rows = [line for line in written.splitlines() if line.endswith(r"\\")]
        assert rows
        assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {width}
    escaped = r"50\%\_of \$x\textasciicircum{}2\$ \& \{a\}\textasciitilde{}\#1\textbar{}b\textbackslash{}c"
    assert escaped in as_latex(strange)
    assert "−" not in as_latex(found)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_compiles(found: Comparison, strange: Comparison, tmp_path: Path) -> None:
    for comparison in (found, strange):
        begin = r"\documentclass{article}\usepackage[margin=1in]{geometry}\usepackage{booktabs}\begin{document}"
        whole = f"{begin}{as_latex(comparison)}\\end{{document}}"
        (tmp_path / "paper.tex").write_text(whole, encoding="utf-8")
        command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        assert comparison is strange or "Overfull" not in done.stdout


def test_text_names_units_axes_and_what_was_left_out(found: Comparison) -> None:
    text = as_text(replace(found, left_out=(("dsrl, seed 7", "unfinished"),)))
    assert "3 seeds" in text
    assert "40 questions" in text
    assert "dsrl at equal generated tokens +" in text
    assert "updates one arm spends none" in text
    assert "p after Holm over 2 comparisons (easy/pass@1, over the arms)" in text
    assert text.rstrip().endswith("dsrl, seed 7: unfinished")
    assert "first at" in text


def test_a_control_character_in_a_name_does_not_reach_the_terminal(strange: Comparison) -> None:
    hostile = replace(strange, title="\x1b[31mred")
    for form in (as_text, as_markdown, as_latex):
        assert "\x1b" not in form(hostile)


def test_numbers_are_signed_with_a_minus_and_zero_has_none() -> None:
    assert [signed(value) for value in (0.1234, -0.0126, 0.0001, -0.0004)] == [
        "+0.123",
        "\u22120.013",
        "0.000",
        "0.000",
    ]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.059, -0.0003, "[\u22120.059, \u22120.0003]"),
        (0.00004, 0.2, "[+0.00004, +0.200]"),
        (-0.0126, 1e-17, "[\u22120.013, 0.000]"),
        (-0.0005, 0.0, "[\u22120.001, 0.000]"),
    ],
)
def test_an_interval_shows_on_which_side_of_zero_it_ends(low: float, high: float, words: str) -> None:
    assert interval_words(Estimate("seeds", 3, Interval(0.0, low, high), 0.04, 0.1, None)) == words
