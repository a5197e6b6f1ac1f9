"""The forms of a comparison: JSON with documented keys, Markdown that parses, LaTeX that compiles, text for a terminal."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from prerl_spec.comparison.compare import compare
from prerl_spec.comparison.equal_amounts import AtEqual
from prerl_spec.comparison.findings import Comparison, Estimate
from prerl_spec.comparison.page.page import render
from prerl_spec.comparison.written.json_form import as_json
from prerl_spec.comparison.written.paper_tables import as_latex, as_markdown
from prerl_spec.comparison.written.text import as_text
from prerl_spec.comparison.written.words import interval_words, signed
from prerl_spec.report.formatting.p_text import p_text
from prerl_spec.report.formatting.paper_text import latex_row
from prerl_spec.statistics.intervals import Interval
from prerl_spec.storage.chained_lines import read_lines
from tests.comparison.runs import Made, evaluation, write_model, write_run
from tests.run_files import write_events

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


def test_papers_are_told_how_scores_were_taken_and_where_a_difference_was_read(found: Comparison) -> None:
    table, *others = found.tables
    first, *further = table.differences
    elsewhere = AtEqual("curve", -0.058, 100.0, on="curve/avg@2")
    read = replace(table, differences=(replace(first, axes={**first.axes, "seconds": elsewhere}), *further))
    told = replace(found, tables=(read, *others), left_out=(("null, seed 2", "failed: out of memory"),))
    for written, read_on in ((as_markdown(told), r"−0.058\*"), (as_latex(told), "$-$0.058*")):
        assert read_on in written
        assert "read on curve/avg@2." in written
        assert "questions" in written.split("Spent until")[0].rsplit("\n", 2)[-2]
        assert "temperature 1" in written
        assert "Not compared: null, seed 2: failed: out of memory." in written
    assert "read on" not in as_markdown(found)


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


def test_a_row_of_latex_does_not_begin_with_what_ends_the_one_before() -> None:
    # After a row's end, [2cm] would be how far below it the next one stands.
    assert latex_row(["[2cm]", "[a]"]) == r"{}[2cm] & [a] \\"
    assert latex_row(["*", "b"]) == r"{}* & b \\"


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


def test_the_table_fits_a_terminal_and_the_findings_stand_above_it(found: Comparison) -> None:
    lines = as_text(found).splitlines()
    start = lines.index("easy  pass@1  (primary)")
    assert lines[start + 1 : start + 3] == [
        "  dsrl: better at equal generated tokens",
        "  null: worse at equal generated tokens",
    ]
    table = [line for line in lines[start:] if line.startswith("  ")][2:8]
    assert table[0].split() == ["arm", "value", "difference", "95", "%", "interval", "over", "detectable", "p"]
    assert max(map(len, table)) <= 80


def test_a_part_of_the_baselines_seeds_is_told_with_their_mean(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"{arm}-{seed}", Made(arm=arm, seed=seed, every=10))
        for arm, seeds in ((1.0, (0, 1, 2)), (2.0, (0, 1, 2)), (3.0, (0, 1)))
        for seed in seeds
    ]
    found = compare(runs)
    of_pairs = fmean(list(found.tables[0].baseline_values.values())[:2])
    words = f"3.0-0 has 2 of 3 pairs: 1.0-0 is {of_pairs:.3f} in them"
    for form in (as_text, as_markdown, as_latex, render):
        assert words in form(found)
        assert "2.0-0 has" not in form(found)


def test_a_table_for_a_paper_has_the_notes_and_says_what_its_signs_mean(found: Comparison) -> None:
    look = "3 of 9 cells are finished: a look before the end, for which p does not allow"
    for form in (as_markdown, as_latex):
        assert look in form(replace(found, notes=(look,)))
        assert "one arm spends none of it" in form(found)
        assert "not known at an equal amount" not in form(found)


def test_where_an_axis_is_not_known_a_curve_is_named_that_may_tell(tmp_path: Path) -> None:
    runs = []
    for arm, seconds in ((1.0, 2.0), (2.0, 3.0)):
        made = Made(arm=arm, every=20, seconds=seconds)
        folder = write_run(tmp_path / str(arm), made)
        events = list(read_lines(folder / "events.jsonl").entries)
        held_out = [
            evaluation(folder, replace(made, task="curve"), "refine" if k else "base", k) for k in range(0, 21, 2)
        ]
        write_events(folder / "events.jsonl", [held_out[0], *events[:-1], *held_out[1:], events[-1]])
        (folder / "scores.json").unlink()
        runs.append(folder)
    found = compare(runs)
    assert "`--curve curve/avg@4` reads it" in as_text(found)
    assert "--curve" not in as_latex(found)
    assert "--curve" not in as_text(compare(runs, curve="curve/avg@4"))


def test_what_is_not_adjusted_has_no_number_of_comparisons(study: Path, tmp_path: Path) -> None:
    other = as_text(compare([study], task="easy/pass@4"))
    assert "nothing here is adjusted or claimed: easy/pass@1 is the primary" in other
    models = [write_model(tmp_path / name, Made(arm=arm, questions=1)) for arm, name in ((1.0, "one"), (2.0, "two"))]
    assert "no p: nothing here has an interval" in as_text(compare(models))


@pytest.mark.parametrize(("p", "words"), [(0.0499, "0.0499"), (0.05, "0.050"), (0.05004, "0.05004"), (0.0123, "0.012")])
def test_p_shows_on_which_side_of_five_per_cent_it_lies(p: float, words: str) -> None:
    assert p_text(p) == words


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
