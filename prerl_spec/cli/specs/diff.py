"""`diff A B` compares the meaning of two specs, plans or runs, value by value, with the origin of each."""

import argparse
from typing import TYPE_CHECKING, Any

from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.output_format import add_format, print_json
from prerl_spec.cli.shared.overrides import add_overrides, overrides

if TYPE_CHECKING:
    from prerl_spec.compiler.compare.comparison_side import Side
    from prerl_spec.compiler.planning.flat_meaning import Difference


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show where two specs, plans or run folders differ in meaning: settings including defaults, data by content. "
        "Settings that only change where or how fast a spec runs are not compared. "
        "Exit code 0 if they mean the same, 1 if they differ or a spec is invalid."
    )
    parser.add_argument("before", metavar="A", type=file_path, help="a spec, a plan.json or a run folder")
    parser.add_argument(
        "after",
        metavar="B",
        type=file_path,
        help="another one; --set, --unset and --overlay apply to both, where they are specs",
    )
    add_format(parser)
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints one line per difference. Raises SpecInvalid, and UsageError for a file that is neither spec nor plan."""
    from prerl_spec.cli.shared.diagnostics import print_results
    from prerl_spec.compiler.compare.comparison_side import open_side
    from prerl_spec.compiler.planning.flat_meaning import differing
    from prerl_spec.compiler.render.human_units import table

    before, after = (open_side(side, overrides(arguments)) for side in (arguments.before, arguments.after))
    differences = differing(before.leaves, after.leaves)
    if arguments.format == "json":
        print_json({"same": not differences, "differences": [_record(before, after, d) for d in differences]})
        return 1 if differences else 0
    if not differences:
        print_results(f"{arguments.before} and {arguments.after} mean the same")
        return 0
    rows = [("", str(arguments.before), str(arguments.after), "", "")]
    rows += [
        (path, before.shown(path), after.shown(path), before.origin(path), after.origin(path))
        for path, _, _ in differences
    ]
    print_results("\n".join(line.rstrip() for line in table(rows, indent=0)))
    for phase in before.points.keys() & after.points.keys():
        objective = f"phases.{phase}.objective"
        if before.points[phase] != after.points[phase] and any(
            path.startswith(objective) for path, _, _ in differences
        ):
            sides = ((arguments.before, before.points[phase]), (arguments.after, after.points[phase]))
            print_results(f"\n{objective}\n" + "\n".join(f"  {name}: {'; '.join(words)}" for name, words in sides))
    return 1


def _record(before: "Side", after: "Side", difference: "Difference") -> dict[str, Any]:
    """A difference for programs; the value of a side that has none is null, and so is its place."""
    from prerl_spec.compiler.planning.flat_meaning import ABSENT

    sides = {"before": (before, difference.before), "after": (after, difference.after)}
    found: dict[str, Any] = {"path": difference.path}
    for name, (side, value) in sides.items():
        found[name] = None if value is ABSENT else value
        found[f"{name}_place"] = side.origin(difference.path) or None
    return found
