"""`prerl-spec compare RUN…`: arms against a baseline, with intervals and what may be claimed."""

import argparse
from pathlib import Path

from prerl_spec.cli.shared.option_values import amount, file_path, names
from prerl_spec.errors import UsageError

PAGES = (".html", ".htm")


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.description = (
        "Compare arms with a baseline on the same questions: paired differences with 95 % intervals over seeds (for the "
        "method) and over questions (for these checkpoints), adjusted for their number, at equal generated tokens, updates "
        "and seconds."
    )
    parser.add_argument(
        "folders",
        nargs="+",
        type=file_path,
        metavar="RUN|STUDY|EVAL",
        help="run folders (those that differ in their seeds only are one arm), one study's folder, or folders of `eval`",
    )
    parser.add_argument(
        "--baseline",
        metavar="ARM",
        help="the arm that the others are compared with, or one of its runs; default: the first",
    )
    parser.add_argument(
        "--arms",
        metavar="ARM,ARM",
        type=names,
        help="the arms that are compared with it, and that p is adjusted over; default: all others",
    )
    parser.add_argument(
        "--task",
        metavar="TASK[/METRIC]",
        help="compare this task only, or one metric of it: any pass@k with k up to the samples",
    )
    parser.add_argument(
        "--curve",
        metavar="TASK/METRIC",
        help="a task with a curve, on which differences at equal amounts are read where the one compared has none",
    )
    parser.add_argument(
        "--margin",
        type=amount,
        metavar="SIZE",
        help="a difference that matters, in units of the score (0.02: two points): says which lie within or beyond it",
    )
    parser.add_argument(
        "--allow",
        choices=["template"],
        action="append",
        default=[],
        help="compare scores that differ in this as well, and say so: models that were asked by another chat template, system "
        "prompt or tokenizer, or with other few-shot examples",
    )
    parser.add_argument(
        "--format",
        choices=["text", "json", "markdown", "latex"],
        default="text",
        help="form of the output; default: text",
    )
    parser.add_argument("--out", type=file_path, metavar="FILE.html", help="write a page with the figures as well")


def run(options: argparse.Namespace) -> int:
    """Prints the comparison, and writes the page."""
    from prerl_spec.cli.shared.diagnostics import print_results
    from prerl_spec.comparison.compare import compare
    from prerl_spec.comparison.page.page import write_page
    from prerl_spec.comparison.written.json_form import as_json
    from prerl_spec.comparison.written.paper_tables import as_latex, as_markdown
    from prerl_spec.comparison.written.text import as_text

    forms = {"text": as_text, "json": as_json, "markdown": as_markdown, "latex": as_latex}
    out: Path | None = options.out
    if out is not None and out.suffix.lower() not in PAGES:
        raise UsageError(
            f"--out writes a page, and {out.name} does not end in .html",
            hint="`--format markdown > FILE`, json or latex for a table",
        )
    found = compare(
        options.folders,
        options.baseline,
        options.task,
        options.curve,
        options.arms,
        options.margin,
        allowed=options.allow,
    )
    if out is not None:
        write_page(found, out)
    print_results(forms[options.format](found))
    return 0
