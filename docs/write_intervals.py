"""Writes docs/intervals.md from the simulations in docs/evidence: what the intervals of scores and differences cover.

    python docs/write_intervals.py

`python -m benchmarks.coverage --replications 2000` writes intervals.json, with `--held-out` held_out.json, with `--losses`
losses.json; `python -m benchmarks.study_simulation --studies 10000 --json` studies.json.
tests/statistics/test_intervals_page.py fails while the page is not up to date.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "intervals.md"
COVERAGE = ROOT / "docs" / "evidence" / "intervals.json"
HELD_OUT = ROOT / "docs" / "evidence" / "held_out.json"
LOSSES = ROOT / "docs" / "evidence" / "losses.json"
STUDIES = ROOT / "docs" / "evidence" / "studies.json"
LEAST, MOST = 93.0, 99.0
SINGLE = 50.0
"""From this share of samples with a single value on, in per cent, a coverage cannot lie near 95 %."""
DEAREST = 12
"""Cells above 99 % whose widths the page prints beside Student's."""
THREE_OF_THREE = 9.4
"""Per cent of benchmarks of 30 questions in which three or more differ, all the same way, where that is likeliest
(`benchmarks.coverage_limit`; a test holds it)."""
HEAD = """# Intervals

Every interval is a 95 % interval and has a **unit**: what would be drawn anew.

| question | unit | function |
|---|---|---|
| how good is this checkpoint? | questions | [`share_interval`](../prerl_spec/statistics/intervals.py) |
| is this checkpoint better than that one? | questions, paired | [`paired_interval`](../prerl_spec/statistics/paired.py) |
| is this *method* better than that one? | seeds, paired | [`seed_interval`, `t_p_value`](../prerl_spec/statistics/seeds.py) |

Where they stand: the interval beside a score (in `run`, `report`, `eval`, scores.json) is the first row's; `compare` prints the
second as "over questions" and the third as "over seeds".

The key `interval` of a score names its construction: `shares`, the first row's, for whatever lies in [0, 1] on each question;
`t`, `jackknife`, `bootstrap` or `none` for lm-eval's own metrics that do not ([metrics.md](metrics.md#intervals)). Several
arms against one baseline are adjusted by Holm; a claim needs one sign over generated tokens, updates and seconds
([claims.py](../prerl_spec/statistics/claims.py)).

## Construction

A mean of shares near 0 is owed to the few questions that are ever solved, and 30 questions may hold none of the easier
ones: mean and spread are then too small together, and mean ± t·s/√Q lies below the truth. The remedy is a question that was
not drawn. The upper bound is the 0.975 quantile of Σ w x, w ~ Dirichlet with weight 1 for every question, ¾ for one at six
times the largest share (at most 1), ¼ for one at the smallest; the lower bound is its mirror image. For right and wrong
alone (pass@k, avg@1), s of Q right, that is Beta(s + ¾, Q − s + ¼), midway between Jeffreys' interval and the exact one.
With none or all of them right (s = 0 or Q) it is the exact interval instead, [0, r] or [1 − r, 1] with r = 1 − 0.025^(1/Q):
11.6 points at 30 questions. Shares that are all equal to c have [c − rc, c + r(1 − c)].

Differences have a question of weight 0.6 at the largest |d| on the side of the bound, further out where the sample is
skewed to it, one of weight 0.4 on the other, Student's factor, and a variance of at least what k responses leave to chance.
The formulas, with their sources, stand in the docstrings. Nothing is drawn at random: equal scores have equal intervals.

## What they cover

{replications:,} simulated benchmarks a cell. The truth is the mean over the *mix* of questions from which a benchmark is
drawn. Differences are of two checkpoints on the same questions, the second one's probabilities the `same`, `shifted` (logit
+ 0.5), `redrawn` (three questions of ten anew from the mix), `learnt` or `fifth` (a tenth or a fifth of the questions lose
half of what they lacked). One standard error of a coverage of 95 % is {error:.1f} points.

| interval | metrics | lowest | cells below 93 % | above 99 % | of them † | of |
|---|---|---|---|---|---|---|
"""
OUTSIDE = """
† more than half of the samples have a single value (all questions right, say): the interval can then only hold the truth
always or never.{below}

Differences were given the number of responses (`num_samples`); without it the lowest cells of `shifted`, `learnt` and `fifth`
lie at 92.6 %.
"""
CAUTIOUS = """
### Above 99 %

{cautious} cells of differences lie above 99 % without †, all of them at {questions} questions. These intervals hold the
truth more often than they promise, and pay for it in width. (At {most} questions there is no such cell, and the interval
is {most_ratio} times as wide as Student's: median.) By kind of second checkpoint, the least and the most of its cells;
questions that differ and widths are medians of a cell's benchmarks:

| difference of | cells | questions that differ | covered | by Student's | width over Student's | excludes 0 | Student's does |
|---|---|---|---|---|---|---|---|
{kinds}
- **pass@k** ({passes} cells): {pass_differing} of {questions} questions differ. Two or three that all went the same way
  may have done so by chance: the interval excludes 0 from five of one sign on (four fall just short), Student's from
  four. Student's t is above 99 % in {pass_student} of these cells as well; the interval is {pass_ratio} times as wide.
  The cost: a gain on so few questions is rarely found, in at most {pass_excludes} % of a cell's benchmarks, where
  Student's t finds it in {pass_student_excludes} %.
- **avg@k, no difference to be found** (`same` and `redrawn`, {null} cells): {null_differing} questions differ, but three
  of them hold {null_largest} % of all squared differences, since most others are solved nearly always or nearly never. On
  either side the interval allows for one more question like the largest, and is {null_ratio} times as wide as Student's,
  which covers {null_student} % here: these mixes do not need that guard. The cost: "alike within a margin" is harder to
  show.
- **avg@k, gains** (`shifted`, `learnt`, `fifth`; {gains} cells): most differences are up (in `shifted` each question's
  probability is), and a few are far larger than the rest. A benchmark that happens to hold few of those has a mean and a
  spread that are both too small. In `shifted` and `fifth` Student's t covers {gain_student} %, and {gain_below} of its
  misses lie below the truth; in `learnt`, where {learnt_differing} question differs, {learnt_student} %. The guard
  against that overshoots: the upper bound is {gain_up} times as far from the mean as Student's, the lower one {gain_down}
  times. The cost: gains that are not found. In the median cell of `fifth` 0 is excluded in {gain_excludes} % of
  benchmarks, by Student's t in {gain_student_excludes} %.

The dozen cells with the greatest price; over all {cautious} the interval is {ratio} times as wide as Student's (median):

| cell | covered (width in points) | by Student's | width over Student's |
|---|---|---|---|
{dearest}
In {forced} of the {cautious} cells **no interval comes down to 99 %** that keeps three rules: it holds 0 in 93 % of
benchmarks whose questions differ up as often as down, however likely they are to differ at all; it treats both arms alike
(exchange them, and the bounds change sign); and more differences of one sign are never weaker evidence. They are cells of
pass@k, {forced_kinds}: four questions of one sign are rare there, and an interval that believes three excludes 0 in
{three:.1f} % of benchmarks of other mixes ([coverage_limit.py](../benchmarks/coverage_limit.py)). Elsewhere a less
cautious interval is possible, and Student's t comes down to 99 % in {student} cells; what that is bought with stands
[below](#gains-paid-for-by-losses).
"""
TABLE = """
### {metric}

Coverage in per cent, median width in points.

| questions × samples | {sizes} |
|---|{bars}
"""
OTHERS = """
## Other mixes and sizes

The constants were chosen on the tables above. On mixes and sizes that played no part in it ({replications:,} benchmarks a
cell): {mixes}.
Questions × samples: {sizes}.

| interval | metrics | lowest | cells below 93 % | above 99 % | of them † | of |
|---|---|---|---|---|---|---|
{summary}
The lowest cells: {lowest}.

{few} of the differences above 99 % without † are those of {fewest} questions.
"""
PAID = """
## Gains paid for by losses

The second checkpoints above gain or stay. Here every question gains (logit + 0.5) and a few are lost altogether, one of twenty
(`forgotten`) or as many as take the mean gain away (`traded`); no constant was chosen on these. {replications:,} benchmarks a
cell, avg@k.

| interval | metrics | lowest | cells below 93 % | above 99 % | of them † | of |
|---|---|---|---|---|---|---|
{summary}
**Below 93 %**: {below}.

Thirty questions hold none that is lost in 21 % of benchmarks where one of twenty is: what no question shows, the interval takes
for rare, and the mean difference lies above the truth. Student's t, which excludes 0 more readily, is below 93 % in {student}.
What was tried in between: [log.md](log.md).
"""
STUDY = """
## The chain of a comparison

Simulated studies through the code that `compare` runs on what it has read: differences by seed, t over seeds, Holm over arms,
one sign over the axes, claim. All arms end alike in generated tokens; on updates and seconds their *ends* are alike as well, or
they are read from *curves*, at a place with responses of its own. Not simulated: how amounts are read from a run's events. Two
standard errors of 10,000 studies are .4 points at 5 %, .8 at 80 %.

Without an effect, "claimed" counts the studies with any claim. With one, a single arm is better than the baseline by what
is stated beforehand as detectable (`detectable_effect`: noncentral t, 80 %, for as many comparisons as arms), the others
equal the baseline, and "claimed" counts the studies in which that arm is claimed. With three arms at three seeds it is
found more often than promised because it is so large: near 76 % right the responses scatter less than at the 50 % for which
the effect was stated.

| seeds | arms | axes | effect | studies | claimed | promised |
|---|---|---|---|---|---|---|
"""


def page() -> str:
    """The whole page, as it should stand in docs/intervals.md."""
    measured = json.loads(COVERAGE.read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = measured["rows"]
    text = HEAD.format(
        replications=measured["replications"], error=100 * (0.95 * 0.05 / measured["replications"]) ** 0.5
    )
    text += "".join(summary(rows)) + outside(rows) + overcautious_ones(rows)
    for metric in dict.fromkeys(row["metric"] for row in rows):
        text += "".join(table(metric, [row for row in rows if row["metric"] == metric]))
    text += others(json.loads(HELD_OUT.read_text(encoding="utf-8")))
    losses = json.loads(LOSSES.read_text(encoding="utf-8"))
    text += paid(losses)
    for metric in dict.fromkeys(row["metric"] for row in losses["rows"]):
        text += "".join(table(metric, [row for row in losses["rows"] if row["metric"] == metric]))
    text += STUDY
    for study in json.loads(STUDIES.read_text(encoding="utf-8")):
        promised = "80 %" if study["effect"] else "at most 5 %"
        effect = f"{study['effect']:.3f}" if study["effect"] else "none"
        claimed, number = f"{100 * study['claimed']:.1f} %", f"{study['studies']:,}"
        row = (study["seeds"], study["arms"], study["axes"], effect, number, claimed, promised)
        text += f"| {' | '.join(map(str, row))} |\n"
    return text + "\n`docs/write_intervals.py` writes this page; the commands are in its docstring.\n"


def summary(rows: list[dict[str, Any]]) -> Iterator[str]:
    for name, way in (("this one", "shipped"), ("Student's t", "student"), ("Wilson, effective n", "wilson")):
        for what, paired in (("avg@k and pass@k", False), ("differences", True)):
            found = [row for row in rows if row["metric"].startswith("difference") == paired and way in row]
            if found:
                low, high = sum(row[way] < LEAST for row in found), [row for row in found if row[way] > MOST]
                single = sum(row["constant"] >= SINGLE for row in high)
                least = min(row[way] for row in found)
                yield f"| {name} | {what} | {least:.1f} % | {low} | {len(high)} | {single} | {len(found)} |\n"


def outside(rows: list[dict[str, Any]]) -> str:
    places = too_low(rows)
    return OUTSIDE.format(below=f"\n\n**Below 93 %**: {places}." if places else "")


def overcautious_ones(rows: list[dict[str, Any]]) -> str:
    """The section on differences covered more than 99 %: why in each group, and at what width."""
    cautious = [row for row in rows if overcautious(row)]
    passes = [row for row in cautious if "pass@k" in row["metric"]]
    null = [row for row in cautious if row not in passes and kind(row) in ("same", "redrawn")]
    gains = [row for row in cautious if row not in passes and row not in null]
    large = [row for row in gains if kind(row) != "learnt"]
    fifth = [row for row in gains if kind(row) == "fifth"]
    learnt = [row for row in gains if kind(row) == "learnt"]
    found = max(passes, key=lambda row: row["shipped_excludes"])
    most = max(row["questions"] for row in rows)
    of_most = [
        row
        for row in rows
        if row["metric"].startswith("difference") and row["questions"] == most and row["constant"] < SINGLE
    ]
    forced = Counter(kind(row) for row in cautious if row.get("limit", 0.0) > MOST)
    return CAUTIOUS.format(
        cautious=len(cautious),
        questions=one_value(row["questions"] for row in cautious),
        most=most,
        most_ratio=f"{median(map(over_student, of_most)):.2f}",
        kinds="".join(kinds(cautious)),
        passes=len(passes),
        pass_differing=span((row["differing"] for row in passes), "{:.0f}").replace("–", " to "),
        pass_student=sum(row["student"] > MOST for row in passes),
        pass_ratio=span(map(over_student, passes), "{:.2f}"),
        pass_excludes=f"{found['shipped_excludes']:.0f}",
        pass_student_excludes=f"{found['student_excludes']:.0f}",
        null=len(null),
        null_differing=span((row["differing"] for row in null), "{:.0f}").replace("–", " to "),
        null_largest=span((row["largest"] for row in null), "{:.0f}"),
        null_ratio=span(map(over_student, null), "{:.2f}"),
        null_student=span((row["student"] for row in null), "{:.1f}"),
        gains=len(gains),
        gain_student=span((row["student"] for row in large), "{:.1f}"),
        learnt_differing=span((row["differing"] for row in learnt), "{:.0f}"),
        learnt_student=span((row["student"] for row in learnt), "{:.1f}"),
        gain_below=of_misses(large),
        gain_up=span((row["shipped_up"] / row["student_up"] for row in gains), "{:.1f}"),
        gain_down=span((row["shipped_down"] / row["student_down"] for row in gains), "{:.1f}"),
        gain_excludes=f"{median(row['shipped_excludes'] for row in fifth):.0f}",
        gain_student_excludes=f"{median(row['student_excludes'] for row in fifth):.0f}",
        ratio=f"{median(map(over_student, cautious)):.2f}",
        dearest="".join(map(price, sorted(cautious, key=over_student, reverse=True)[:DEAREST])),
        forced=sum(forced.values()),
        forced_kinds=", ".join(f"{number} of `{name}`" for name, number in forced.items()),
        three=THREE_OF_THREE,
        student=sum(row["student"] <= MOST for row in cautious),
    )


def kinds(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A line of the table for each metric and kind of second checkpoint."""
    for metric in dict.fromkeys(row["metric"] for row in rows):
        found = [row for row in rows if row["metric"] == metric]
        columns = (
            metric.removeprefix("difference of "),
            str(len(found)),
            span((row["differing"] for row in found), "{:.0f}"),
            *(f"{span((row[way] for row in found), '{:.1f}')} %" for way in ("shipped", "student")),
            span(map(over_student, found), "{:.2f}"),
            *(f"{span((row[f'{way}_excludes'] for row in found), '{:.1f}')} %" for way in ("shipped", "student")),
        )
        yield f"| {' | '.join(columns)} |\n"


def kind(row: dict[str, Any]) -> str:
    """`same`, say, of "difference of avg@k, same"."""
    return str(row["metric"]).rsplit(", ", 1)[1]


def over_student(row: dict[str, Any]) -> float:
    return float(row["shipped_width"] / row["student_width"])


def price(row: dict[str, Any]) -> str:
    name = f"{row['metric'].removeprefix('difference of ')}, {row['mix']} at {row['questions']} × {row['samples']}"
    ways = (f"{row[way]:.1f} ({100 * row[f'{way}_width']:.3g})" for way in ("shipped", "student"))
    return f"| {name} | {' | '.join(ways)} | {over_student(row):.2f} |\n"


def of_misses(rows: list[dict[str, Any]]) -> str:
    """How many of Student's misses lie below the truth: "84 %"."""
    return f"{100 * sum(row['student_below'] for row in rows) / sum(100 - row['student'] for row in rows):.0f} %"


def span(values: Iterable[float], form: str) -> str:
    """The least and the most, one of them where they read alike: "1.2–1.9"."""
    found = list(values)
    return "–".join(dict.fromkeys(form.format(value) for value in (min(found), max(found))))


def one_value(values: Iterable[int]) -> int:
    (only,) = set(values)
    return only


def too_low(rows: list[dict[str, Any]]) -> str:
    """The cells below 93 %, with the side from which they miss the truth."""
    return "; ".join(
        f"{row['metric']} of {row['mix']} at {row['questions']} × {row['samples']} ({row['shipped']:.1f} %, from "
        f"{'below' if row['below'] > row['above'] else 'above'})"
        for row in sorted(rows, key=lambda row: row["shipped"])
        if row["shipped"] < LEAST
    )


def overcautious(row: dict[str, Any]) -> bool:
    return bool(row["metric"].startswith("difference") and row["shipped"] > MOST and row["constant"] < SINGLE)


def paid(measured: dict[str, Any]) -> str:
    """The section on gains that losses take away."""
    rows: list[dict[str, Any]] = measured["rows"]
    return PAID.format(
        replications=measured["replications"],
        summary="".join(summary(rows)),
        below=too_low(rows),
        student=f"{sum(row['student'] < LEAST for row in rows)} of {len(rows)}",
    )


def others(measured: dict[str, Any]) -> str:
    """The section on what no constant was chosen on."""
    rows: list[dict[str, Any]] = measured["rows"]
    lowest = sorted(rows, key=lambda row: row["shipped"])[:3]
    fewest = min(row["questions"] for row in rows)
    cautious = [row for row in rows if overcautious(row)]
    return OTHERS.format(
        replications=measured["replications"],
        mixes="; ".join(dict.fromkeys(row["mix"] for row in rows)),
        sizes=", ".join(dict.fromkeys(f"{row['questions']} × {row['samples']}" for row in rows)),
        summary="".join(summary(rows)),
        few=f"{sum(row['questions'] == fewest for row in cautious)} of {len(cautious)}",
        fewest=fewest,
        lowest="; ".join(
            f"{row['metric']} of {row['mix']} at {row['questions']} × {row['samples']} {row['shipped']:.1f} %"
            for row in lowest
        ),
    )


def table(metric: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    sizes = list(dict.fromkeys((row["questions"], row["samples"]) for row in rows))
    names = " | ".join(f"{questions} × {samples}" for questions, samples in sizes)
    yield TABLE.format(metric=metric, sizes=names, bars="---|" * len(sizes))
    for mix in dict.fromkeys(row["mix"] for row in rows):
        cells = [cell(row) for row in rows if row["mix"] == mix]
        yield f"| {mix} | {' | '.join(cells)} |\n"


def cell(row: dict[str, Any]) -> str:
    mark = "†" if row["constant"] >= SINGLE else ""
    return f"{row['shipped']:.1f}{mark} ({100 * row['shipped_width']:.3g})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
