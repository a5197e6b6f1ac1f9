"""What a run came to, as a table for a terminal: scores per phase and task, seconds per part. ASCII, numbers only."""

from collections.abc import Sequence
from pathlib import Path

from prerl_spec.report.formatting.printable import ascii_only
from prerl_spec.report.page.scores import Protocol, final_scores
from prerl_spec.report.tables.run_tables import Seconds, read_run
from prerl_spec.types import Score

PARTS = ("sample", "verify", "train", "other", "evaluate", "total")


def run_summary(folder: Path) -> str:
    """Both tables of a run folder; raises what `read_run` raises."""
    run = read_run(folder)
    tables = [scores_table(run.scores) if run.scores else "", seconds_table(run.seconds) if run.seconds else ""]
    return "\n\n".join(t for t in tables if t)


def scores_table(scores: Sequence[Score]) -> str:
    """A row a phase and task, a column a metric: the value and its 95 % interval, then questions x samples.

    Of each phase the latest score counts. An empty sequence gives the header alone.
    """
    final = final_scores(scores)
    metrics = list(dict.fromkeys(s.metric for s in final))
    rows: dict[tuple[Protocol, str], dict[str, str]] = {}
    for s in final:
        cells = rows.setdefault((Protocol.of(s), s.phase), {})
        cells[s.metric] = f"{s.value:.3f} [{s.low:.3f}, {s.high:.3f}]"
    body = [
        [made.task, phase, *(cells.get(m, "-") for m in metrics), f"{made.questions} x {made.samples_per_question}"]
        for (made, phase), cells in rows.items()
    ]
    tasks = list(dict.fromkeys(s.task for s in final))
    body.sort(key=lambda row: tasks.index(row[0]))
    return aligned([["task", "after", *metrics, "n"], *body], left=2)


def seconds_table(seconds: Sequence[Seconds]) -> str:
    """Seconds per phase and part, with their sum."""
    rows = [[s.phase, *(f"{getattr(s, part):.1f}" for part in PARTS)] for s in seconds]
    whole = ["all", *(f"{sum(getattr(s, part) for s in seconds):.1f}" for part in PARTS)]
    return aligned([["seconds", *PARTS], *rows, whole], left=1)


def aligned(rows: Sequence[Sequence[str]], *, left: int) -> str:
    """The rows in columns, the first `left` of them left-aligned, the others right-aligned; a rule under the header."""
    written = [[ascii_only(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*written, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in written
    ]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]])
