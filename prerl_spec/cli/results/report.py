"""`prerl-spec report RUN...`: writes the HTML report of runs and folders of `eval`; seeds of one plan are drawn together."""

import argparse

from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.compiler.past_runs.run_folder import is_live
from prerl_spec.engine.record.artefacts import REPORT, note_report
from prerl_spec.report.page.page import write_report


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=file_path,
        metavar="RUN|EVAL",
        help="a run folder, or one of `eval`; several stand side by side, runs that differ in their seeds only as one",
    )
    parser.add_argument(
        "--out",
        type=file_path,
        metavar="FILE",
        help="output file; default: RUN/report.html, or ./report.html for several",
    )


def run(options: argparse.Namespace) -> int:
    """Writes the report and prints its path."""
    page = write_report(options.runs, options.out)
    if page.name == REPORT and not is_live(page.parent):
        note_report(page.parent)
    print(page)
    return 0
