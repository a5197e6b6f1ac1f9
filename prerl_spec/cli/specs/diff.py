"""`diff A B` compares what two specs, plans or runs mean, value by value, each with where it was written."""

import argparse
from pathlib import Path

from prerl_spec.cli.shared.overrides import add_overrides, overrides


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Tell where two specs, plans or run folders differ in meaning: settings with their defaults, data by content. "
        "What only changes where or how fast it runs is no difference. "
        "Exit code 0 where they mean the same, 1 where they differ, or where a spec is invalid."
    )
    parser.add_argument("before", metavar="A", type=Path, help="a spec, a plan.json or a run folder")
    parser.add_argument("after", metavar="B", type=Path, help="another; --set and the like are applied to specs alone")
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """One line a difference on stdout. Raises SpecInvalid, and UsageError for a file that is neither spec nor plan."""
    from prerl_spec.cli.shared.diagnostics import print_results
    from prerl_spec.compiler.compare.comparison_side import open_side
    from prerl_spec.compiler.planning.flat_meaning import differing, shown_value
    from prerl_spec.compiler.render.human_units import table

    before, after = (open_side(side, overrides(arguments)) for side in (arguments.before, arguments.after))
    differences = differing(before.leaves, after.leaves)
    if not differences:
        print_results(f"{arguments.before} and {arguments.after} mean the same")
        return 0
    rows = [("", str(arguments.before), str(arguments.after), "", "")]
    rows += [
        (path, shown_value(old), shown_value(new), before.origin(path), after.origin(path))
        for path, old, new in differences
    ]
    print_results("\n".join(line.rstrip() for line in table(rows, indent=0)))
    return 1
