"""Results of a run as ASCII tables: scores per phase and task, seconds per phase and part."""

from collections.abc import Sequence
from pathlib import Path

from prerl_spec.report.formatting.printable import ascii_only
from prerl_spec.report.page.scores import Protocol, final_scores
from prerl_spec.report.tables.equal_scores import each_once
from prerl_spec.report.tables.run_tables import Seconds, read_run
from prerl_spec.types import Score

PARTS = ("sample", "verify", "train", "other", "evaluate", "total")


def run_summary(folder: Path) -> str:
    """Both tables of a run folder; raises the errors of `read_run`."""
    run = read_run(folder)
    tables = [scores_table(run.scores) if run.scores else "", seconds_table(run.seconds) if run.seconds else ""]
    return "\n\n".join(t for t in tables if t)


def scores_table(scores: Sequence[Score]) -> str:
    """One row per phase and task, one column per metric: value and 95 % interval, then questions x samples. pass@1 has none
    beside avg@n.

    Only the latest score of each phase is shown. An empty sequence yields the header alone.
    """
    final = each_once(final_scores(scores))
    metrics = list(dict.fromkeys(s.metric for s in final))
    rows: dict[tuple[Protocol, str], dict[str, str]] = {}
    for s in final:
        cells = rows.setdefault((Protocol.of(s), s.phase), {})
        cells[s.metric] = f"{s.value:.3f} {s.bounds_text(3)}"
    body = [
        [
            protocol.task,
            phase,
            *(cells.get(m, "-") for m in metrics),
            f"{protocol.questions} x {protocol.samples_per_question}",
        ]
        for (protocol, phase), cells in rows.items()
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
    """Aligns rows in columns, the first `left` to the left, the others to the right, with a rule below the header."""
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
