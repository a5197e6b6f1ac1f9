"""Writes docs/intervals.md from the simulations in docs/evidence: what the intervals of scores and differences cover.

    python docs/write_intervals.py

`python -m benchmarks.coverage --replications 2000` writes intervals.json, with `--held-out` held_out.json, with `--losses`
losses.json; `python -m benchmarks.study_simulation --studies 10000 --json` studies.json.
tests/statistics/test_intervals_page.py fails while the page is not up to date.
"""

import json
from collections.abc import Iterator
from pathlib import Path
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

A mean of shares near 0 is owed to the few questions that are ever solved, and 30 questions may hold none of the easier ones:
mean and spread are then too small together, and mean ± t·s/√Q lies below the truth. The remedy is a question that was not
drawn. The upper bound is the 0.975 quantile of Σ w x, w ~ Dirichlet with weight 1 for every question, ¾ for one at six times
the largest share (at most 1), ¼ for one at the smallest; the lower bound is its mirror image. For right and wrong alone
(pass@k, avg@1) that is Beta(s + ¾, Q − s + ¼), midway between Jeffreys' interval and the exact one. Differences have a
question of weight 0.6 at the largest |d| on the side of the bound, further out where the sample is skewed to it, one of weight
0.4 on the other, Student's factor, and a variance of at least what k responses leave to chance. The formulas, with their
sources, stand in the docstrings. Nothing is drawn at random: equal scores have equal intervals.

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
always or never. **Above 99 %** without that mark are differences where few questions differ, up as often as down or all up:
two or three of the same sign are no proof. Those intervals err on the safe side.{below}

In {forced} of these {cautious} cells **no interval comes to 99 %** that holds 0 in 93 % of equal checkpoints' benchmarks,
however likely a question is to differ, and takes more differences of the same sign for more evidence: pass@k of equal
checkpoints, where four questions of the same sign are rare, and to believe three would exclude 0 in {three:.1f} % of benchmarks
of other mixes ([coverage_limit.py](../benchmarks/coverage_limit.py)). In others one does, Student's t in {student}; what that
is bought with stands [below](#gains-paid-for-by-losses).

Differences were given the number of responses (`num_samples`); without it the lowest cells of `shifted`, `learnt` and `fifth`
lie at 92.6 %.
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
they are read from *curves*, at a place with responses of its own. Not simulated: how amounts are read from a run's events. The
power is that at the effect which is stated beforehand as detectable (`detectable_effect`: noncentral t, 80 %). Two standard
errors of 10,000 studies are .4 points at 5 %, .8 at 80 %.

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
    text += "".join(summary(rows)) + outside(rows)
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
    cautious, places = [row for row in rows if overcautious(row)], too_low(rows)
    return OUTSIDE.format(
        below=f"\n\n**Below 93 %**: {places}." if places else "",
        forced=sum(row.get("limit", 0.0) > MOST for row in cautious),
        cautious=len(cautious),
        three=THREE_OF_THREE,
        student=sum(row["student"] <= MOST for row in cautious),
    )


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
