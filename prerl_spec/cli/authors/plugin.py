"""`plugin new NAME` scaffolds a distribution; `plugin check DIST` checks an installed one against the laws of its kinds."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from prerl_spec.cli.authors.new_plugin import STARTS, write_plugin
from prerl_spec.cli.shared.option_values import file_path


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="new|check")
    new = actions.add_parser("new", help="create a distribution with one component, its tests and a spec")
    new.add_argument("name", metavar="NAME", help="name of the distribution, such as prerl-acme")
    new.add_argument("--kind", choices=STARTS, default="objective", metavar="KIND", help=f"one of: {', '.join(STARTS)}")
    new.add_argument(
        "--in",
        dest="folder",
        type=file_path,
        default=Path(),
        metavar="DIR",
        help="parent folder; default: the current one",
    )
    check = actions.add_parser(
        "check", help="check an installed distribution against the laws of its components' kinds"
    )
    check.add_argument("distribution", metavar="DIST", help="name of the distribution")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 if every check holds, 3 if any is broken."""
    if arguments.action == "new":
        return _new(arguments.name, arguments.folder, arguments.kind)
    return _check(arguments.distribution)


def _new(name: str, parent: Path, kind: str) -> int:
    written = write_plugin(name, parent, kind)
    for file in written.files:
        print(file)
    print(
        f"\nThe {kind} `{written.component}` {written.start.does}. Next steps:\n"
        f"  cd {written.folder}\n"
        "  pip install -e '.[test]'\n"
        "  python -m pytest -q\n"
        f"  prerl-spec plugin check {name}\n"
        f"  prerl-spec run specs/{name}.toml"
    )
    return 0


def _check(distribution: str) -> int:
    from prerl_spec.compiler.estimates.prerequisites import require_train

    require_train("`prerl-spec plugin check`")
    from prerl_spec.testing.conformance.check import check_distribution

    component, states = "", list[str]()
    for finding in check_distribution(distribution):
        if finding.component != component:
            component = finding.component
            print(component)
        print("\n".join(finding.lines(12)), flush=True)
        states.append(finding.state)
    print(_summary(distribution, states))
    return 3 if "broken" in states else 0


def _summary(distribution: str, states: Sequence[str]) -> str:
    counts = [f"{states.count(state)} {state}" for state in ("held", "broken", "not tried") if state in states]
    return f"{distribution}: {', '.join(counts)}"
